"""What the commands share that write a cable: their options, and what the officer has written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cli.commands import option
from cli.desk import CABLE_ID, CLASSIFICATIONS, PRECEDENCES, number_of, sync
from cli.options import FILE

if TYPE_CHECKING:
    from terminal.compose import Composition
    from terminal.terminal import Terminal

Decorator = Callable[[Any], Any]


def writing(function: Any) -> Any:
    """The options of whoever writes a new cable."""
    return _with(
        function,
        option("--to", required=True),
        option("--info", default=""),
        option("--precedence", type=click.Choice(PRECEDENCES), required=True),
        option("--classification", type=click.Choice(CLASSIFICATIONS), required=True),
        option("--subject", required=True),
        *_MORE,
        option("--supersedes", type=CABLE_ID),
        click.argument("text", type=click.File("rb")),
    )


def answering(function: Any) -> Any:
    """The options of whoever writes about an earlier cable, whose marking and subject go on unless he gives others."""
    return _with(
        function,
        option("--info", default=""),
        option("--precedence", type=click.Choice(PRECEDENCES)),
        option("--classification", type=click.Choice(CLASSIFICATIONS)),
        option("--subject", default=""),
        *_MORE,
    )


_MORE: tuple[Decorator, ...] = (
    option("--ref", multiple=True),
    option("--caveat", multiple=True),
    option("--attach", multiple=True, type=FILE),
    option("--expires", type=click.IntRange(min=1)),
    option("--accept-stale", is_flag=True),
)


def _with(function: Any, *decorators: Decorator) -> Any:
    """As if they stood above it in this order."""
    for one in reversed(decorators):
        function = one(function)
    return function


def written_by(fields: dict[str, Any]) -> Composition:
    """What the options and the text say. What was not given is 0 or empty."""
    from terminal.compose import Composition, names

    return Composition(
        to=names(fields.get("to", "")),
        info=names(fields["info"]),
        precedence=number_of(fields["precedence"], PRECEDENCES) if fields["precedence"] else 0,
        classification=number_of(fields["classification"], CLASSIFICATIONS) if fields["classification"] else 0,
        subject=fields["subject"],
        text=read_text(fields["text"]),
        references=fields["ref"],
        caveats=fields["caveat"],
        files=fields["attach"],
        expires_hours=fields["expires"] or 0,
    )


def read_text(file: Any) -> str:
    """The text of a cable, empty if there is no file. Raises `Malformed("not-utf8")`, "attachment-too-large"."""
    from crypto_msg.cable import MAX_CONTENT, check_content_size
    from terminal.compose import decode_text

    data = file.read(MAX_CONTENT + 1) if file else b""
    check_content_size(len(data))
    return decode_text(data)


def in_place_of(terminal: Terminal, earlier: bytes | None, written: Composition) -> Composition:
    """`written`, in the place of the cable with that id, if one is given."""
    from terminal.correspondence import supersede

    if earlier is None:
        return written
    sync(terminal)
    return supersede(terminal.find(earlier), written)
