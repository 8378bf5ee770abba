"""Real processes for the demonstration: posts' nodes, and the command line as an officer would type it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cli import words
from protos.errors import DutabartaError, Unavailable

T = TypeVar("T")
R = TypeVar("R")
READY_SECONDS = 30
COMMAND_SECONDS = 90
READY = b"ready: "


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended: its exit code, its JSON document (empty if it printed none) and what it said."""

    code: int
    data: dict[str, Any]
    talk: str


@dataclass(slots=True)
class Stage:
    """A folder of posts, their running nodes, and one passphrase file for all keystores of the exercise."""

    folder: Path
    passphrase_file: Path
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)

    def home(self, code: str) -> Path:
        """The folder of the post `code`."""
        return self.folder / code

    def run(self, *arguments: str, stdin: str = "") -> Answer:
        """Run one command to its end, whatever its exit code."""
        done = subprocess.run(
            [*_dutabarta(), *arguments, "--json"],
            input=stdin.encode(),
            capture_output=True,
            timeout=COMMAND_SECONDS,
            env=self._environment(),
            check=False,
        )
        output = done.stdout.decode()
        return Answer(done.returncode, json.loads(output) if output.strip() else {}, done.stderr.decode())

    def must(self, *arguments: str, stdin: str = "") -> dict[str, Any]:
        """Run one command that has to succeed; its JSON document. Raises DutabartaError with what it said."""
        answer = self.run(*arguments, stdin=stdin)
        if answer.code:
            said = answer.talk.strip()
            raise DutabartaError(
                "demo-failed", f"{' '.join(arguments[:3])}: {said}", command=" ".join(arguments), said=said
            )
        return answer.data

    def together(self, work: Callable[[T], R], over: Sequence[T]) -> list[R]:
        """Do the same at several posts at once; the results in order. The first error is raised when all have ended."""
        with ThreadPoolExecutor(len(over)) as pool:
            return list(pool.map(work, over))

    def start(self, codes: tuple[str, ...]) -> None:
        """Start the nodes of `codes` at once and wait until each says that it is ready."""
        for code in codes:
            with self._log(code).open("ab") as log:
                self._seen[code] = log.tell()
                self.nodes[code] = subprocess.Popen(
                    [*_dutabarta(), "node", "run", "--home", str(self.home(code))],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env=self._environment(),
                    start_new_session=True,
                )
        for code in codes:
            self._await_ready(code)

    def kill(self, code: str) -> None:
        """End a node as a power cut would."""
        node = self.nodes.pop(code)
        node.send_signal(signal.SIGKILL)
        node.wait()

    def close(self) -> None:
        """Stop all nodes cleanly; one that does not stop within five seconds is killed."""
        for node in self.nodes.values():
            node.terminate()
        for node in self.nodes.values():
            try:
                node.wait(timeout=5)
            except subprocess.TimeoutExpired:
                node.kill()
                node.wait()
        self.nodes.clear()

    def _log(self, code: str) -> Path:
        return self.home(code) / "node.log"

    def _await_ready(self, code: str) -> None:
        start = self._log(code)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.nodes[code].poll() is None:
            answer = self.run("node", "status", "--home", str(self.home(code)))
            if answer.data.get("ready"):
                return
            time.sleep(0.2)
        raise Unavailable(
            "demo-node-not-ready", f"the node of {code} did not start; see {start}", post=code, path=start
        )

    def _environment(self) -> dict[str, str]:
        chosen = {"DUTABARTA_PASSPHRASE_FILE": str(self.passphrase_file), "DUTABARTA_LANG": words.language()}
        return {**os.environ, **chosen, "PYTHONUNBUFFERED": "1"}


@contextmanager
def open_stage(folder: Path, passphrase_file: Path) -> Iterator[Stage]:
    """A stage whose nodes are stopped at the end, also after an error or Ctrl-C."""
    stage = Stage(folder, passphrase_file)
    try:
        yield stage
    finally:
        stage.close()


def _dutabarta() -> list[str]:
    return [sys.executable, "-m", "cli.main"]
