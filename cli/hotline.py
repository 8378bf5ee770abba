"""`dutabarta hotline`: call, answer, who is present, and the calls of before."""

from __future__ import annotations

from typing import Any

import click

from cli.commands import group, option
from cli.desk import CLASSIFICATIONS, Place, at_terminal, number_of
from cli.options import json_option
from cli.output import emit
from cli.words import t

CALL_WAIT_SECONDS = 60


class CallId(click.ParamType[bytes]):
    """A call id, 16 bytes in hex."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The bytes. Fails for any other text."""
        if isinstance(value, bytes):
            return value
        try:
            found = bytes.fromhex(value)
        except ValueError:
            found = b""
        if len(found) != 16:
            self.fail(t("usage.bad-call-id", id=value), param, ctx)
        return found


@group("hotline")
def hotline() -> None:
    """Help stands in the string tables."""


@hotline.command("call")
@click.argument("post")
@option("--classification", type=click.Choice(CLASSIFICATIONS), required=True)
@option("--wait", "wait_seconds", type=click.IntRange(5, 600), default=CALL_WAIT_SECONDS, words="option.ring_seconds")
@option("--accept-stale", is_flag=True)
@at_terminal
@json_option
def call(place: Place, post: str, classification: str, wait_seconds: int, accept_stale: bool, as_json: bool) -> None:
    """Call a post, and talk."""
    from cli.hotline_talk import Talk

    with place.open() as terminal, terminal.hotline() as line:
        talk = Talk(terminal, line, as_json)
        events = line.call(post, number_of(classification, CLASSIFICATIONS), wait_seconds, accept_stale)
        talk.call(events)


@hotline.command("answer")
@option("--once", is_flag=True)
@option("--yes", "is_answered", is_flag=True, words="option.answer_at_once")
@at_terminal
@json_option
def answer(place: Place, once: bool, is_answered: bool, as_json: bool) -> None:
    """Be at the hotline of one's post, and take the calls that come."""
    from cli.hotline_talk import Talk

    with place.open() as terminal, terminal.hotline() as line:
        Talk(terminal, line, as_json).answer(once=once, at_once=is_answered)


@hotline.command("present")
@click.argument("post", required=False)
@at_terminal
@json_option
def present(place: Place, post: str | None, as_json: bool) -> None:
    """Who is at the hotline of a post, one's own if none is named."""
    from cli.hotline_json import present_json, present_text

    with place.open() as terminal:
        data = present_json(terminal, post or terminal.session.config.post)
        emit(data, as_json, present_text(data))


@hotline.command("list")
@at_terminal
@json_option
def list_calls(place: Place, as_json: bool) -> None:
    """The calls of before, oldest first."""
    from cli.hotline_json import calls_json, calls_text

    with place.open() as terminal:
        data = calls_json(terminal)
        emit(data, as_json, calls_text(data))


@hotline.command("read")
@click.argument("call_id", type=CallId())
@at_terminal
@json_option
def read(place: Place, call_id: bytes, as_json: bool) -> None:
    """What was said in a call, what was not confirmed, and where it is anchored."""
    from cli.hotline_json import call_text, read_json

    with place.open() as terminal:
        data = read_json(terminal, call_id)
        emit(data, as_json, call_text(data))
