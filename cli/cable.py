"""`dutabarta cable`: send, release, read, acknowledge, track and prove."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.commands import group, option
from cli.desk import CLASSIFICATIONS, PRECEDENCES, AnyId, Place, TerminalId, at_terminal, number_of
from cli.options import FILE, json_option
from cli.output import emit, say

CABLE_ID = AnyId()


@group("cable")
def cable() -> None:
    """Help stands in the string tables."""


def _writing(function: Any) -> Any:
    """The options of whoever writes a cable."""
    for add in (
        click.argument("text", type=click.File("rb")),
        option("--accept-stale", is_flag=True),
        option("--attach", multiple=True, type=FILE),
        option("--caveat", multiple=True),
        option("--ref", multiple=True),
        option("--subject", required=True),
        option("--classification", type=click.Choice(CLASSIFICATIONS), required=True),
        option("--precedence", type=click.Choice(PRECEDENCES), required=True),
        option("--info", default=""),
        option("--to", required=True),
    ):
        function = add(function)
    return function


def _composition(fields: dict[str, Any]) -> Any:
    from crypto_msg.cable import MAX_CONTENT, check_content_size
    from terminal.compose import Composition, decode_text, names

    data = fields["text"].read(MAX_CONTENT + 1)
    check_content_size(len(data))
    return Composition(
        to=names(fields["to"]),
        info=names(fields["info"]),
        precedence=number_of(fields["precedence"], PRECEDENCES),
        classification=number_of(fields["classification"], CLASSIFICATIONS),
        subject=fields["subject"],
        text=decode_text(data),
        references=fields["ref"],
        caveats=fields["caveat"],
        files=fields["attach"],
    )


@cable.command("send")
@_writing
@at_terminal
@json_option
def send(place: Place, as_json: bool, accept_stale: bool, **fields: Any) -> None:
    """Release at once if the officer may alone, else hand a sealed draft to the post's releasers."""
    from cli.cable_json import sent_json

    composition = _composition(fields)
    with place.open() as terminal:
        emit(sent_json(terminal, terminal.send(composition, accept_stale)), as_json)


@cable.command("draft")
@_writing
@at_terminal
@json_option
def draft(place: Place, as_json: bool, accept_stale: bool, **fields: Any) -> None:
    """A sealed draft to the post's releasers."""
    from cli.cable_json import sent_json

    composition = _composition(fields)
    with place.open() as terminal:
        emit(sent_json(terminal, terminal.draft(composition, accept_stale)), as_json)


@cable.command("release")
@click.argument("cable_id", type=CABLE_ID)
@option("--accept-stale", is_flag=True)
@at_terminal
@json_option
def release(place: Place, cable_id: bytes, accept_stale: bool, as_json: bool) -> None:
    """Release a draft that awaits it."""
    from cli.cable_json import sent_json

    with place.open() as terminal:
        _sync(terminal)
        emit(sent_json(terminal, terminal.release(cable_id, accept_stale)), as_json)


@cable.command("list")
@option("--box", type=click.Choice(("in", "out", "drafts")))
@at_terminal
@json_option
def list_cables(place: Place, box: str | None, as_json: bool) -> None:
    """What is here, oldest first."""
    from cli.cable_json import doubts_about, list_json, list_text

    with place.open() as terminal:
        _sync(terminal)
        records = terminal.cables(box)
        alarms = terminal.alarms()
        doubts = doubts_about(terminal, records)
        emit(list_json(records, alarms, doubts), as_json, list_text(records, alarms, doubts))


@cable.command("read")
@click.argument("cable_id", type=CABLE_ID)
@option("--save", type=click.Path(path_type=Path, file_okay=False))
@at_terminal
@json_option
def read(place: Place, cable_id: bytes, save: Path | None, as_json: bool) -> None:
    """Read a cable; its originator is told."""
    from cli.cable_json import cable_text, read_json, save_attachments

    with place.open() as terminal:
        _sync(terminal)
        record = terminal.read(cable_id)
        saved = save_attachments(record, save) if save else {}
        data = read_json(terminal, record, saved)
        emit(data, as_json, cable_text(data))


@cable.command("ack")
@click.argument("cable_id", type=CABLE_ID)
@at_terminal
@json_option
def acknowledge(place: Place, cable_id: bytes, as_json: bool) -> None:
    """Acknowledge a cable."""
    with place.open() as terminal:
        _sync(terminal)
        record = terminal.acknowledge(cable_id)
        emit(
            {"cable_id": record.cable_id.hex(), "envelope_id": record.envelope_id.hex(), "state": record.state}, as_json
        )


@cable.command("track")
@click.argument("cable_id", type=CABLE_ID)
@at_terminal
@json_option
def track(place: Place, cable_id: bytes, as_json: bool) -> None:
    """How far a cable has come, addressee by addressee."""
    from cli.cable_json import doubts_about, track_json, track_text

    with place.open() as terminal:
        _sync(terminal)
        record = terminal.find(cable_id)
        data = track_json(record, terminal.track(cable_id), doubts_about(terminal, [record]))
        emit(data, as_json, track_text(data))


@cable.command("rewrap")
@click.argument("cable_id", type=CABLE_ID)
@option("--to-terminal", type=TerminalId())
@at_terminal
@json_option
def rewrap(place: Place, cable_id: bytes, to_terminal: bytes | None, as_json: bool) -> None:
    """Answer the terminals that asked too often in a day for a cable's key; or add a terminal, as a supervisor."""
    with place.open() as terminal:
        _sync(terminal)
        if to_terminal is not None:
            record = terminal.add_terminal(cable_id, to_terminal)
            emit({"cable_id": record.cable_id.hex(), "added": to_terminal.hex()}, as_json)
            return
        record = terminal.find(cable_id)
        emit({"cable_id": record.cable_id.hex(), "answered": terminal.rewrap(cable_id)}, as_json)


@cable.command("except")
@click.argument("cable_id", type=CABLE_ID)
@click.argument("post")
@at_terminal
@json_option
def except_post(place: Place, cable_id: bytes, post: str, as_json: bool) -> None:
    """Put an addressee on a cable's exception list: its DELIVERED is waited for no more."""
    with place.open() as terminal:
        _sync(terminal)
        record = terminal.except_post(cable_id, post)
        emit({"cable_id": record.cable_id.hex(), "excepted": list(record.excepted)}, as_json)


@cable.command("proof")
@click.argument("cable_id", type=CABLE_ID)
@option("--out", type=FILE, required=True)
@at_terminal
@json_option
def proof(place: Place, cable_id: bytes, out: Path, as_json: bool) -> None:
    """Write the proof of a cable's anchor, and the sealed envelope that it proves."""
    from crypto_msg.cablefile import encode_cable_file
    from crypto_msg.envelope import Envelope
    from terminal.files import write_private

    with place.open() as terminal:
        _sync(terminal)
        proved = terminal.proof(cable_id)
        doubts = terminal.standing(terminal.find(cable_id)).doubts
    files = {"proof": Path(f"{out}.tlog-proof"), "cable": Path(f"{out}.cable")}
    write_private(files["proof"], proved.proof)
    write_private(files["cable"], encode_cable_file(Envelope(proved.sealed.head, proved.sealed.body)))
    entry = {"entry_index": proved.item.entry_index, "size": proved.item.checkpoint.size}
    for doubt in doubts:
        say("talk.doubt", doubt=doubt)
    written = {name: str(path) for name, path in files.items()}
    emit({"cable_id": cable_id.hex(), **written, **entry, "doubts": list(doubts)}, as_json)


def _sync(terminal: Any) -> None:
    """Fetch what has come. A node that cannot be reached does not keep an officer from what is here."""
    from protos.errors import Unavailable

    try:
        terminal.sync()
    except Unavailable as problem:
        say("talk.not-synced", problem=problem.text)
