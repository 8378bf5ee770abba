"""Real posts on loopback: each a folder, a process of the daemon, and its two first supervisors' terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cli import founding
from cli.plan import Plan, PlannedPost
from keys.keystore import Cost
from node.client import NodeClient
from node.config import KEYS_FOLDER, load_config, node_folder
from node.secrets import load_node_keys
from node.wire import Status
from protos.errors import Unavailable
from terminal.folder import Folder
from terminal.terminal import Terminal, open_terminal

PASSPHRASE = b"exercise"
SUPERVISORS = ("first", "second")
READY_SECONDS = 90.0


class Posts:
    """An exercise network under `folder`; the first code is HQ and the one validator."""

    def __init__(self, folder: Path, codes: Sequence[str]) -> None:
        self.folder = folder
        self.codes = tuple(codes)
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        posts = tuple(PlannedPost(code, SUPERVISORS, False) for code in codes)
        addresses = founding.free_addresses(len(codes))
        folder.mkdir(parents=True, exist_ok=True)
        roots = [founding.make_root(folder / f"root-{n}.key", PASSPHRASE, Cost.EXERCISE) for n in range(3)]
        cards = [
            founding.make_post(self.home(one.code), one, address, one.code == codes[0], PASSPHRASE, Cost.EXERCISE).card
            for one, address in zip(posts, addresses, strict=True)
        ]
        now = int(time.time())
        leaves = founding.found(Plan("test", now, codes[0], (codes[0],), posts), [*roots, *cards], exercise=True)
        for code in codes:
            founding.settle(self.home(code), leaves, PASSPHRASE, now)

    def home(self, code: str) -> Path:
        """The post's folder."""
        return self.folder / code

    # --- processes ---------------------------------------------------------------------------------------------

    def start(self, *codes: str, fail_at: int = 0, file_limit: int = 0) -> None:
        """Start daemons (default: all), one that kills itself at its n-th write point if `fail_at` says so."""
        for code in codes or self.codes:
            environment = {**os.environ, "DUTABARTA_FAIL_AT": str(fail_at), "DUTABARTA_LANG": "en"}
            command = [sys.executable, "-m", "cli.main", "node", "run", "--home", str(self.home(code))]
            if file_limit:  # a file that cannot grow answers as a full disk does
                command = ["sh", "-c", f'trap "" XFSZ; ulimit -f {file_limit}; exec "$@"', "sh", *command]
            with self.log(code).open("ab") as log:
                self.nodes[code] = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    cwd=Path(__file__).parents[2],
                )

    def log(self, code: str) -> Path:
        """What the daemon said."""
        return self.home(code) / "node.out"

    def kill(self, code: str) -> None:
        """End a daemon as a power cut would."""
        self.nodes[code].send_signal(signal.SIGKILL)
        self.nodes.pop(code).wait()

    def stop(self, code: str) -> int:
        """Ask a daemon to stop; its exit code."""
        self.nodes[code].terminate()
        return self.nodes.pop(code).wait(timeout=20)

    def close(self) -> None:
        """Stop everything that runs."""
        for node in self.nodes.values():
            node.kill()
        for node in self.nodes.values():
            node.wait()
        self.nodes.clear()

    # --- asking ------------------------------------------------------------------------------------------------

    def status(self, code: str) -> Status:
        """The daemon's own word, asked as its operator. Raises `Unavailable`."""
        folder = node_folder(self.home(code))
        config, keys = load_config(folder), load_node_keys(folder / KEYS_FOLDER)
        with NodeClient(config.listen, keys.tls.certificate, keys.tls, unary_seconds=5.0) as client:
            return client.status()

    def wait_ready(self, *codes: str) -> None:
        """Until these daemons (default: all) are ready and have taken in what was left for them."""
        deadline = time.monotonic() + READY_SECONDS
        for code in codes or self.codes:
            while not self._is_ready(code):
                if time.monotonic() > deadline:
                    raise AssertionError(f"{code} is not ready: {self.log(code).read_text()[-3000:]}")
                time.sleep(0.2)

    def _is_ready(self, code: str) -> bool:
        try:
            return self.status(code).ready
        except Unavailable:
            return False

    def terminal_folder(self, code: str, name: str = "first") -> Folder:
        """The folder of a supervisor's terminal."""
        return Folder(self.home(code) / "terminals" / name)

    @contextmanager
    def terminal(self, code: str, name: str = "first") -> Iterator[Terminal]:
        """A supervisor at his terminal."""
        with open_terminal(self.terminal_folder(code, name).path, PASSPHRASE) as terminal:
            yield terminal

    @contextmanager
    def client(self, code: str, name: str = "first", *, node: str = "") -> Iterator[NodeClient]:
        """The bare client of a supervisor's terminal, connected to the node of `node` (default: its own post)."""
        identity = self.terminal_folder(code, name).load_keyring(PASSPHRASE).tls
        folder = node_folder(self.home(node or code))
        certificate = load_node_keys(folder / KEYS_FOLDER).tls.certificate
        with NodeClient(load_config(folder).listen, certificate, identity, unary_seconds=15.0) as client:
            yield client


def eventually(holds: object, seconds: float = 60.0) -> None:
    """Wait until `holds()`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.2)
