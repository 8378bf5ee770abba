"""`dutabarta cable reply`, `forward`, `cancel`: what an officer does about an earlier cable."""

from __future__ import annotations

from typing import Any

import click

from cli.commands import command, option
from cli.desk import CABLE_ID, Place, at_terminal, sync
from cli.options import json_option
from cli.output import emit
from cli.writing import answering, read_text, written_by


@command("reply")
@click.argument("cable_id", type=CABLE_ID)
@option("--all", "everybody", is_flag=True)
@answering
@click.argument("text", type=click.File("rb"))
@at_terminal
@json_option
def reply(place: Place, cable_id: bytes, everybody: bool, accept_stale: bool, as_json: bool, **fields: Any) -> None:
    """Answer the originator of a cable."""
    from cli.cable_json import sent_json
    from terminal import correspondence

    written = written_by(fields)
    with place.open() as terminal:
        sync(terminal)
        answer = correspondence.reply(terminal.find(cable_id), terminal.session.config.post, written, everybody)
        emit(sent_json(terminal, terminal.send(answer, accept_stale)), as_json)


@command("forward")
@click.argument("cable_id", type=CABLE_ID)
@option("--to", required=True)
@answering
@click.argument("text", type=click.File("rb"), required=False)
@at_terminal
@json_option
def forward(place: Place, cable_id: bytes, accept_stale: bool, as_json: bool, **fields: Any) -> None:
    """Send a cable on, text and attachments byte for byte."""
    from cli.cable_json import sent_json
    from terminal import correspondence

    written = written_by(fields)
    with place.open() as terminal:
        sync(terminal)
        record = terminal.find(cable_id)
        passed_on = correspondence.forward(record, terminal.attachments(record), written)
        emit(sent_json(terminal, terminal.send(passed_on, accept_stale)), as_json)


@command("cancel")
@click.argument("cable_id", type=CABLE_ID)
@click.argument("reason", type=click.File("rb"), required=False)
@option("--accept-stale", is_flag=True)
@at_terminal
@json_option
def cancel(place: Place, cable_id: bytes, reason: Any, accept_stale: bool, as_json: bool) -> None:
    """Cancel a released cable by another, or withdraw a draft."""
    from cli.cable_json import cancelled_json

    text = read_text(reason)
    with place.open() as terminal:
        sync(terminal)
        earlier = terminal.find(cable_id)
        emit(cancelled_json(terminal, earlier, terminal.cancel(cable_id, text, accept_stale)), as_json)
