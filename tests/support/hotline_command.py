"""A hotline command that runs: an officer who types, and what he sees."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.processes import ROOT, plain

WAIT_SECONDS = 60.0
Event = dict[str, Any]


RUNNING: list[Typing] = []


class Typing:
    """A hotline command that runs: lines go in, events come out."""

    def __init__(self, passphrase_file: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "cli.main", "hotline", *arguments, "--json"]
        environment = plain({"DUTABARTA_PASSPHRASE_FILE": str(passphrase_file)})
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment
        )
        self._events: queue.Queue[Event] = queue.Queue()
        self.seen: list[Event] = []
        self.seconds = WAIT_SECONDS
        RUNNING.append(self)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._events.put(json.loads(line))

    def type(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self.process.stdin.flush()

    def wait(self, what: str, holds: Callable[[Event], bool] = lambda _: True) -> Event:
        """The next event of that kind."""
        deadline = time.monotonic() + self.seconds
        while True:
            try:
                event = self._events.get(timeout=max(0.1, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {what}: {self.seen} {self._errors()}") from None
            self.seen.append(event)
            if event["event"] == what and holds(event):
                return event

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(WAIT_SECONDS)

    def _errors(self) -> str:
        self.process.kill()
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()


def stop_all() -> None:
    """Nobody stays who holds a terminal."""
    while RUNNING:
        one = RUNNING.pop()
        one.process.kill()
        one.process.wait()
