"""A talk on the hotline: lines from stdin, the other side's on stdout, what happens on stderr."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections import deque

import click

from cli.desk import CLASSIFICATIONS, name_of
from cli.hotline_json import clock
from cli.output import say
from cli.words import error_words, has, t
from crypto_msg.display import safe_line
from protos.errors import DutabartaError, Refused, Unavailable
from terminal.hotline import Hotline
from terminal.talking import Event
from terminal.terminal import Terminal

STEP_SECONDS = 0.1
SYNC_SECONDS = 900.0
"""While nobody calls, cables are fetched and prekeys renewed so often."""
MAX_LINE_BYTES = 64 * 1024
MAX_TYPED = 1000
BYE = "/bye"
_QUIET = frozenset(("said", "confirmed"))
_REFUSALS = frozenset(("refused", "busy"))


class Keyboard:
    """Reads stdin in a thread, so that the talk goes on while nobody types."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_TYPED)
        self.is_over = False
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def typed(self) -> list[str]:
        """What was typed since; `is_over` when there will be nothing more."""
        found = []
        while not self.is_over:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            if line is None:
                self.is_over = True
            else:
                found.append(line)
        return found

    def _read(self) -> None:
        """By its descriptor: a thread that waits inside Python's own buffer would keep the process from ending."""
        left = b""
        while data := os.read(sys.stdin.fileno(), MAX_LINE_BYTES):
            *lines, left = (left + data).split(b"\n")
            if len(left) > MAX_LINE_BYTES:
                lines, left = [*lines, left], b""
            for line in lines:
                self._put(line)
        if left:
            self._put(left)
        self._lines.put(None)

    def _put(self, line: bytes) -> None:
        self._lines.put(line.decode("utf-8", "replace").rstrip("\r"))


class Talk:
    """Shows what happens and passes on what is typed. Lines typed before the other side is there wait for it."""

    def __init__(self, terminal: Terminal, line: Hotline, as_json: bool) -> None:
        self._terminal, self._line, self._as_json = terminal, line, as_json
        self._keyboard = Keyboard()
        self._waiting: deque[str] = deque()
        self._is_leaving = False
        self._unconfirmed: set[int] = set()
        self._synced_at = time.monotonic()

    def call(self, events: list[Event]) -> None:
        """Until the call is over. Raises `Refused` ("call-refused"), `Unavailable` ("no-answer", "call-lost")."""
        ended = self._show(events)
        while ended is None:
            ended = self._turn()
        _check_ending(ended)

    def answer(self, *, once: bool, at_once: bool) -> None:
        """Until stdin ends or the officer leaves; with `once`, until one call is over. `at_once`: without asking."""
        self._say("hotline.waiting")
        self._emit({"event": "waiting"})
        while True:
            ended = self._turn(at_once=at_once)
            if ended is not None and once:
                _check_ending(ended)
                return
            self._sync_when_idle()
            if self._line.is_idle and (self._keyboard.is_over or self._is_leaving):
                return

    def _turn(self, *, at_once: bool = False) -> Event | None:
        """One step; the event that ended the call, if one did."""
        try:
            events = self._line.step(STEP_SECONDS)
            events += self._typed(at_once)
        except KeyboardInterrupt:
            if self._is_leaving:
                raise
            self._is_leaving = True
            events = self._line.hang_up()
        return self._show(events)

    def _sync_when_idle(self) -> None:
        if not self._line.is_idle or time.monotonic() - self._synced_at < SYNC_SECONDS:
            return
        try:
            self._terminal.sync()
        except DutabartaError as problem:
            self._say("talk.not-synced", problem=problem.text)
        self._synced_at = time.monotonic()

    # --- the keyboard ----------------------------------------------------------------------------------------

    def _typed(self, at_once: bool) -> list[Event]:
        self._waiting += self._keyboard.typed()
        if self._line.is_ringing:
            return self._decide(at_once)
        events: list[Event] = []
        while self._waiting and self._line.is_talking:
            try:
                events += self._speak(self._waiting[0])
            except Unavailable:
                break  # too much is unconfirmed: it waits here
            except DutabartaError as problem:
                self._complain(problem)
            self._waiting.popleft()
        if self._keyboard.is_over and not self._waiting and not self._line.is_idle and not self._is_leaving:
            self._is_leaving = True
            events += self._line.hang_up()
        return events

    def _speak(self, text: str) -> list[Event]:
        if text == BYE:
            return self._line.hang_up()
        return self._line.say(text) if text else []

    def _decide(self, at_once: bool) -> list[Event]:
        """Whether to take the call that rings."""
        try:
            if at_once:
                return self._line.accept()
            if self._waiting:
                return self._line.accept() if _is_yes(self._waiting.popleft()) else self._line.refuse()
        except DutabartaError as problem:
            self._complain(problem)
        return self._line.refuse() if self._keyboard.is_over else []

    # --- the screen ------------------------------------------------------------------------------------------

    def _show(self, events: list[Event]) -> Event | None:
        ended = None
        for one in events:
            self._note(one)
            self._emit(self._json_of(one))
            self._tell(one)
            if one.what == "ended":
                ended = one
        return ended

    def _note(self, event: Event) -> None:
        if event.what == "said":
            self._unconfirmed.add(event.number)
        elif event.what == "confirmed":
            self._unconfirmed = {one for one in self._unconfirmed if one > event.number}

    def _tell(self, event: Event) -> None:
        if event.what == "line":
            if not self._as_json:
                click.echo(f"{clock(event.at)} {event.call.post}: {safe_line(event.text)}")
        elif event.what not in _QUIET:
            self._say(f"hotline.{event.what}", **self._about(event))
        if event.what == "ended":
            if self._unconfirmed:
                self._say("hotline.left-unconfirmed", count=len(self._unconfirmed))
            self._unconfirmed = set()

    def _about(self, event: Event) -> dict[str, object]:
        return {
            "post": event.call.post,
            "officer": self._officer(event),
            "classification": name_of(event.call.classification, CLASSIFICATIONS) if event.call.classification else "",
            "code": _in_words(event.code),
            "call": event.call.call_id.hex(),
        }

    def _officer(self, event: Event) -> str:
        if event.what not in ("calling", "ringing", "talking", "missed"):
            return ""
        try:
            return safe_line(self._terminal.names([event.call.officer_id]).get(event.call.officer_id, ""))
        except Unavailable:
            return event.call.officer_id.hex()[:8]

    def _json_of(self, event: Event) -> dict[str, object]:
        about = self._about(event)
        found = {"event": event.what, "call_id": about["call"], "post": event.call.post}
        more = {"number": event.number, "at": event.at, "text": event.text, "code": event.code}
        more |= {"officer": about["officer"], "classification": about["classification"]}
        return {**found, **{name: value for name, value in more.items() if value}}

    def _emit(self, data: dict[str, object]) -> None:
        if self._as_json:
            click.echo(json.dumps(data, ensure_ascii=False))

    def _say(self, key: str, **params: object) -> None:
        if not self._as_json:
            say(key, **params)

    def _complain(self, problem: DutabartaError) -> None:
        text, _ = error_words(problem)
        click.echo(f"{t('talk.error')}: {text} [{problem.code}]", err=True)


def _in_words(code: str) -> str:
    key = f"call-end.{code.replace(' ', '-')}"
    return t(key) if has(key) else code


def _check_ending(event: Event) -> None:
    """Raise for a call that did not end as a call should."""
    post = event.call.post
    if event.code in _REFUSALS:
        raise Refused("call-refused", f"{post} does not take the call: {event.code}", hint="call later", post=post)
    if event.code in ("no-answer", "elsewhere"):
        raise Unavailable("no-answer", f"nobody at {post} answers", hint="send a FLASH, or call later", post=post)
    if event.code != "hung up":
        hint = "see `dutabarta hotline read`: what was not confirmed may not have come"
        raise Unavailable("call-lost", f"the call with {post} was lost", hint=hint, post=post)


def _is_yes(text: str) -> bool:
    return text.strip().lower() in ("y", "yes", "হ্যাঁ", "হ", "জি")
