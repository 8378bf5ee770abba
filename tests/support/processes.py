"""An exercise of real processes: the nodes of `Posts`, and each command that a user types."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from crypto_msg.cable import Precedence
from ledger.roles import Clearance
from node.config import node_folder
from protos.errors import Unavailable
from support.posts import PASSPHRASE, Posts
from terminal.compose import Composition
from terminal.records import CableRecord

ROOT = Path(__file__).parents[2]
COMMAND_SECONDS = 120
SETTLE_SECONDS = 90.0
SIGKILLED = -9

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def dutabarta(
    *arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str] | None = None, before: Sequence[str] = ()
) -> Ended:
    """Run one command to its end. `before`: a program and its arguments that runs the command, as `env` does."""
    command = [*before, sys.executable, "-m", "cli.main", *map(str, arguments)]
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        timeout=COMMAND_SECONDS,
        cwd=ROOT,
        env=plain(environment),
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def plain(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would change the product, in English."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("DUTABARTA_")}
    return {**own, "DUTABARTA_LANG": "en", **(more or {})}


def together(work: Callable[[T], R], over: Sequence[T]) -> list[R]:
    """Do the same to several at once; the results in order."""
    with ThreadPoolExecutor(len(over)) as pool:
        return list(pool.map(work, over))


class Exercise(Posts):
    """Founded and settled posts; the first is HQ. Officers are enrolled by the command line."""

    @property
    def passphrase_file(self) -> Path:
        """A file with the passphrase of every keystore."""
        path = self.folder / "passphrase"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(PASSPHRASE + b"\n")
        return path

    def __call__(
        self, *arguments: str | Path, stdin: bytes = b"", fail_at: int = 0, before: Sequence[str] = ()
    ) -> Ended:
        """Run one command with the exercise's passphrase and --json."""
        environment = {"DUTABARTA_PASSPHRASE_FILE": str(self.passphrase_file), "DUTABARTA_FAIL_AT": str(fail_at)}
        return dutabarta(*arguments, "--json", stdin=stdin, environment=environment, before=before)

    def must(self, *arguments: str | Path, stdin: bytes = b"") -> dict[str, Any]:
        """Run one command that has to succeed; its JSON document."""
        ended = self(*arguments, stdin=stdin)
        assert ended.code == 0, ended.err
        return ended.data

    def at(self, code: str, officer: str) -> tuple[str, ...]:
        """The options that name an officer's terminal."""
        return ("--home", str(self.home(code)), "--officer", officer)

    def enrol(self, code: str, name: str, roles: str, clearance: str) -> None:
        """Enrol an officer with the supervisors' keystores."""
        options = ("--home", self.home(code), "--role", roles, "--clearance", clearance)
        self.must("officer", "enrol", name, *options)

    def send(
        self,
        code: str,
        officer: str,
        to: str,
        *more: str | Path,
        text: bytes = b"Text.\n",
        fail_at: int = 0,
        precedence: str = "PRIORITY",
        classification: str = "CONFIDENTIAL",
        before: Sequence[str] = (),
    ) -> Ended:
        """`dutabarta cable send`, the text on stdin."""
        marking = ("--precedence", precedence, "--classification", classification, "--subject", "Trade")
        place = self.at(code, officer)
        return self(
            "cable", "send", "--to", to, *marking, *place, *more, "-", stdin=text, fail_at=fail_at, before=before
        )

    def start_under(self, code: str, before: Sequence[str]) -> None:
        """Start a daemon by a program that runs it, as `dutabarta` does with a command."""
        command = [*before, sys.executable, "-m", "cli.main", "node", "run", "--home", str(self.home(code))]
        with self.log(code).open("ab") as log:
            self.nodes[code] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=plain()
            )

    def wait_end(self, code: str) -> int:
        """Wait until a daemon has ended by itself; its exit code."""
        return self.nodes.pop(code).wait(timeout=COMMAND_SECONDS)

    def queue(self, code: str, *to: str, name: str = "first", subject: str = "test") -> CableRecord:
        """Send a cable from this process: sealed and stored at the terminal, and at the node if it takes it."""
        cable = Composition(to, Precedence.ROUTINE, Clearance.UNCLASSIFIED, subject, f"text of {subject}")
        with self.terminal(code, name) as terminal:
            return terminal.send(cable)

    def sync(self, code: str, name: str = "first") -> list[CableRecord]:
        """What an officer's terminal holds after it has asked its node."""
        with self.terminal(code, name) as terminal:
            terminal.sync()
            return terminal.cables()

    # --- the nodes' stores -------------------------------------------------------------------------------------

    @contextmanager
    def store(self, code: str) -> Iterator[sqlite3.Connection]:
        """A node's store, to look at while it runs or not."""
        path = node_folder(self.home(code)) / "node.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            yield connection

    def rows(self, code: str, query: str) -> list[tuple[Any, ...]]:
        """What a query finds in a node's store."""
        with self.store(code) as connection:
            return connection.execute(query).fetchall()

    def count(self, code: str, table: str) -> int:
        """Rows of a table in a node's store."""
        found: int = self.rows(code, f"SELECT count(*) FROM {table}")[0][0]
        return found

    # --- waiting -----------------------------------------------------------------------------------------------

    def settle(self, meanwhile: Callable[[], object] = lambda: None, until: Callable[[], bool] = lambda: True) -> None:
        """Until all posts have one log, checkpointed to its end, and nothing waits anywhere, for a second on end.

        `meanwhile` is done again and again until then, and until `until` holds.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            meanwhile()
            before = self._marks()
            if until() and before[0] is not None and len(set(before)) == 1:
                time.sleep(1.0)
                if self._marks() == before:
                    return
            assert time.monotonic() < deadline, f"not settled: {before}\n{self._logs()}"
            time.sleep(0.2)

    def _marks(self) -> list[tuple[int, bytes] | None]:
        return [self._mark(code) for code in self.codes]

    def _mark(self, code: str) -> tuple[int, bytes] | None:
        """(size, root) of a node to which nothing is left to do; None while there is, or while it is down."""
        try:
            status = self.status(code)
        except Unavailable:
            return None
        if not status.ready or status.queues or status.policy_size < status.log_size:
            return None
        waiting = ("slot_items", "batches", "items WHERE state = 'intake'", "pending WHERE code = 'pending'")
        if any(self.count(code, rows) for rows in waiting):
            return None
        return status.log_size, status.root

    def _logs(self) -> str:
        return "\n".join(f"{code}: {self.log(code).read_text()[-1500:]}" for code in self.codes)


@contextmanager
def exercise(folder: Path, *codes: str) -> Iterator[Exercise]:
    """A running exercise, stopped at the end."""
    made = Exercise(folder, codes)
    try:
        made.start()
        made.wait_ready()
        yield made
    finally:
        made.close()
