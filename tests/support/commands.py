"""`dutabarta` in this process, as an officer types it, before a ministry in memory."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from support.ministry import Ministry


@dataclass(slots=True)
class Said:
    """How a command ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class Commands:
    """`dutabarta` as an officer types it; `ministry.folder / CODE` is a post's home."""

    ministry: Ministry
    folder: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    said: list[Said] = field(default_factory=list)

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> Said:
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        code = run([str(one) for one in arguments])
        captured = self.capsys.readouterr()
        self.said.append(Said(code, captured.out, captured.err))
        return self.said[-1]

    def home(self, post: str) -> Path:
        return self.ministry.folder / post

    def at(self, post: str, officer: str = "first") -> tuple[str, ...]:
        """The options that name an officer's terminal."""
        return ("--home", str(self.home(post)), "--officer", officer)

    def send(
        self,
        post: str,
        to: str,
        *more: str | Path,
        officer: str = "first",
        text: bytes = b"Text.\n",
        precedence: str = "PRIORITY",
        classification: str = "CONFIDENTIAL",
    ) -> Said:
        marking = ("--precedence", precedence, "--classification", classification, "--subject", "Trade")
        return self("cable", "send", "--to", to, *marking, *self.at(post, officer), "--json", *more, "-", stdin=text)

    def enrol(self, post: str, name: str, roles: str, clearance: str) -> Said:
        return self(
            "officer", "enrol", name, "--home", self.home(post), "--role", roles, "--clearance", clearance, "--json"
        )
