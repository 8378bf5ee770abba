"""`dutabarta cable`: send, release, read, acknowledge, track and prove."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.answering import cancel, forward, reply
from cli.commands import group, option
from cli.desk import CABLE_ID, Place, TerminalId, at_terminal, sync
from cli.lists import lists
from cli.options import FILE, json_option
from cli.output import emit, say
from cli.writing import in_place_of, writing, written_by


@group("cable")
def cable() -> None:
    """Help stands in the string tables."""


@cable.command("send")
@writing
@at_terminal
@json_option
def send(place: Place, as_json: bool, accept_stale: bool, supersedes: bytes | None, **fields: Any) -> None:
    """Release at once if the officer may alone, else hand a sealed draft to the post's releasers."""
    from cli.cable_json import sent_json

    written = written_by(fields)
    with place.open() as terminal:
        written = in_place_of(terminal, supersedes, written)
        emit(sent_json(terminal, terminal.send(written, accept_stale)), as_json)


@cable.command("draft")
@writing
@at_terminal
@json_option
def draft(place: Place, as_json: bool, accept_stale: bool, supersedes: bytes | None, **fields: Any) -> None:
    """A sealed draft to the post's releasers."""
    from cli.cable_json import sent_json

    written = written_by(fields)
    with place.open() as terminal:
        written = in_place_of(terminal, supersedes, written)
        emit(sent_json(terminal, terminal.draft(written, accept_stale)), as_json)


@cable.command("release")
@click.argument("cable_id", type=CABLE_ID)
@option("--accept-stale", is_flag=True)
@option("--expires", type=click.IntRange(min=1), default=None)
@at_terminal
@json_option
def release(place: Place, cable_id: bytes, accept_stale: bool, expires: int | None, as_json: bool) -> None:
    """Release a draft that awaits it."""
    from cli.cable_json import sent_json

    with place.open() as terminal:
        sync(terminal)
        emit(sent_json(terminal, terminal.release(cable_id, accept_stale, expires or 0)), as_json)


@cable.command("list")
@option("--box", type=click.Choice(("in", "out", "drafts")))
@at_terminal
@json_option
def list_cables(place: Place, box: str | None, as_json: bool) -> None:
    """What is here, oldest first."""
    from cli.cable_json import doubts_about, list_json, list_text

    with place.open() as terminal:
        sync(terminal)
        records = terminal.cables(box)
        data = list_json(terminal, records, terminal.alarms(), doubts_about(terminal, records))
        emit(data, as_json, list_text(data))


@cable.command("read")
@click.argument("cable_id", type=CABLE_ID)
@option("--save", type=click.Path(path_type=Path, file_okay=False))
@at_terminal
@json_option
def read(place: Place, cable_id: bytes, save: Path | None, as_json: bool) -> None:
    """Read a cable; its originator is told."""
    from cli.cable_json import cable_text, read_json, save_attachments

    with place.open() as terminal:
        sync(terminal)
        record = terminal.read(cable_id)
        saved = save_attachments(record, terminal.attachments(record), save) if save else {}
        data = read_json(terminal, record, saved)
        emit(data, as_json, cable_text(data))


@cable.command("ack")
@click.argument("cable_id", type=CABLE_ID)
@at_terminal
@json_option
def acknowledge(place: Place, cable_id: bytes, as_json: bool) -> None:
    """Acknowledge a cable."""
    with place.open() as terminal:
        sync(terminal)
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
        sync(terminal)
        record = terminal.find(cable_id)
        data = track_json(terminal, record, terminal.track(cable_id), doubts_about(terminal, [record]))
        emit(data, as_json, track_text(data))


@cable.command("rewrap")
@click.argument("cable_id", type=CABLE_ID)
@option("--to-terminal", type=TerminalId())
@at_terminal
@json_option
def rewrap(place: Place, cable_id: bytes, to_terminal: bytes | None, as_json: bool) -> None:
    """Answer the terminals that asked too often in a day for a cable's key; or add a terminal, as a supervisor."""
    with place.open() as terminal:
        sync(terminal)
        if to_terminal is not None:
            record = terminal.add_terminal(cable_id, to_terminal)
            emit({"cable_id": record.cable_id.hex(), "added": to_terminal.hex()}, as_json)
            return
        record = terminal.find(cable_id)
        emit({"cable_id": record.cable_id.hex(), "answered": terminal.rewrap(cable_id)}, as_json)


@cable.command("resend")
@click.argument("cable_id", type=CABLE_ID)
@at_terminal
@json_option
def resend(place: Place, cable_id: bytes, as_json: bool) -> None:
    """Hand a sealed cable in again for the posts that have not DELIVERED it."""
    with place.open() as terminal:
        sync(terminal)
        record = terminal.find(cable_id)
        emit({"cable_id": record.cable_id.hex(), "posts": list(terminal.resend(cable_id))}, as_json)


@cable.command("except")
@click.argument("cable_id", type=CABLE_ID)
@click.argument("post")
@at_terminal
@json_option
def except_post(place: Place, cable_id: bytes, post: str, as_json: bool) -> None:
    """Put an addressee on a cable's exception list: its DELIVERED is waited for no more."""
    with place.open() as terminal:
        sync(terminal)
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
        sync(terminal)
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


for _one in (reply, forward, cancel, lists):
    cable.add_command(_one)
