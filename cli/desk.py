"""What the officers' commands share: opening the terminal that the options name, ids, shared values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.options import read_passphrase, terminal_folder, terminal_options
from cli.output import say
from cli.words import t

if TYPE_CHECKING:
    from terminal.terminal import Terminal

TERMINAL_ID_BYTES = 32
MAX_DIGITS = 18
"""A log size has fewer."""
F = TypeVar("F", bound=Callable[..., Any])

PRECEDENCES = ("ROUTINE", "PRIORITY", "IMMEDIATE", "FLASH")
CLASSIFICATIONS = ("UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET", "TOP-SECRET")
ROLES = ("drafter", "releaser", "supervisor", "registrar", "archivist", "auditor")


@dataclass(frozen=True, slots=True)
class Place:
    """The terminal's folder, and where its passphrase comes from."""

    folder: Path
    passphrase_file: Path | None

    @contextmanager
    def open(self) -> Iterator[Terminal]:
        """The terminal, for the time of the command."""
        from terminal.terminal import open_terminal

        with open_terminal(self.folder, self.passphrase()) as terminal:
            yield terminal

    def passphrase(self) -> bytes:
        """What opens the terminal: its passphrase, or its token's PIN. Raises "no-terminal", as `read_passphrase`."""
        from terminal.folder import Folder

        token = Folder.existing(self.folder).load_config().token_label
        return read_passphrase(self.passphrase_file, token=token)


def at_terminal(function: F) -> Callable[..., Any]:
    """Options `--home H --officer NAME` or `--terminal T`; the command gets a `Place` first."""

    @wraps(function)
    def wrapped(
        home: Path | None,
        officer: str | None,
        terminal: Path | None,
        passphrase_file: Path | None,
        **others: Any,
    ) -> Any:
        return function(Place(terminal_folder(home, officer, terminal), passphrase_file), **others)

    return terminal_options(wrapped)


class AnyId(click.ParamType[bytes]):
    """A cable id (16 bytes) or an envelope id (32 bytes) in hex."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The bytes. Fails for any other text."""
        if isinstance(value, bytes):
            return value
        try:
            found = bytes.fromhex(value)
        except ValueError:
            found = b""
        if len(found) not in (16, 32):
            self.fail(t("usage.bad-id", id=value), param, ctx)
        return found


class TerminalId(click.ParamType[bytes]):
    """A terminal id: 64 hex digits."""

    name = "terminal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The 32 bytes. Fails for any other text."""
        if isinstance(value, bytes):
            return value
        try:
            found = bytes.fromhex(value)
        except ValueError:
            found = b""
        if len(found) != TERMINAL_ID_BYTES:
            self.fail(t("usage.bad-terminal-id", id=value), param, ctx)
        return found


class Since(click.ParamType[int | datetime]):
    """A log size, or a date and time in ISO 8601; without an offset it is UTC."""

    name = "size|date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | datetime:
        """The size or the time. Fails for any other text."""
        if isinstance(value, (int, datetime)):
            return value
        if value.isascii() and value.isdigit() and len(value) < MAX_DIGITS:
            return int(value)
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(t("usage.bad-since", value=value), param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


CABLE_ID = AnyId()


def sync(terminal: Terminal) -> None:
    """Fetch what has come. A node that cannot be reached does not keep an officer from what is here."""
    from protos.errors import Unavailable

    try:
        terminal.sync()
    except Unavailable as problem:
        say("talk.not-synced", problem=problem.text)


def number_of(name: str, names: tuple[str, ...]) -> int:
    """The number on the wire of a precedence, classification or role."""
    return names.index(name) + 1


def name_of(number: int, names: tuple[str, ...]) -> str:
    """The name of a number on the wire."""
    return names[number - 1]
