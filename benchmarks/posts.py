"""Two posts for measurements: HQ's daemon in a process of its own, the mission's node in this one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from cli import founding
from cli.plan import Plan, PlannedPost
from crypto_msg.cable import Precedence
from crypto_msg.envelope import decode_head
from keys.keystore import Cost
from ledger.roles import Clearance
from node.client import NodeClient
from node.config import ENGINE_FOLDER, GENESIS_FILE, INTAKE_FOLDER, KEYS_FOLDER, load_config, node_folder
from node.daemon import load_genesis, open_database
from node.secrets import load_node_keys
from node.shell.node import Node
from node.shell.tasks import Tasks
from protos.errors import Unavailable
from terminal.compose import Composition
from terminal.folder import Folder
from terminal.terminal import Terminal, open_terminal

HEADQUARTERS, MISSION = "DHA", "DEL"
PASSPHRASE = b"exercise"
READY_SECONDS = 60.0

Sealed = tuple[bytes, bytes, bytes]
"""Head, body, anchor salt."""


class TwoPosts:
    """An exercise network of two posts under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        posts = tuple(PlannedPost(code, ("first", "second"), False) for code in (HEADQUARTERS, MISSION))
        addresses = founding.free_addresses(2)
        roots = [founding.make_root(folder / f"root-{n}.key", PASSPHRASE, Cost.EXERCISE) for n in range(3)]
        cards = [
            founding.make_post(self.home(one.code), one, address, one.code == HEADQUARTERS, PASSPHRASE, Cost.EXERCISE)
            for one, address in zip(posts, addresses, strict=True)
        ]
        now = int(time.time())
        plan = Plan("bench", now, HEADQUARTERS, (HEADQUARTERS,), posts)
        leaves = founding.found(plan, [*roots, *(one.card for one in cards)], exercise=True)
        for one in posts:
            founding.settle(self.home(one.code), leaves, PASSPHRASE, now)
        self.terminal_id = Folder(self._terminal).load_keyring(PASSPHRASE).terminal_id

    def __enter__(self) -> TwoPosts:
        self._start(HEADQUARTERS)
        self._start(MISSION)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self._nodes.values():
            node.kill()
            node.wait()

    def seal(self, count: int) -> list[Sealed]:
        """So many cables of the mission to HQ, sealed and not handed in."""
        if MISSION not in self._nodes:
            self._start(MISSION)
        self.wait()
        composition = Composition((HEADQUARTERS,), Precedence.ROUTINE, Clearance.UNCLASSIFIED, "bench", "x" * 1000)
        keyring = Folder(self._terminal).load_keyring(PASSPHRASE)
        with self._client(MISSION, keyring.tls) as client:
            kept = _Keeper(client)
            with open_terminal(self._terminal, PASSPHRASE, kept) as terminal:
                for _ in range(count):
                    terminal.send(composition)
        self.stop(MISSION)
        return kept.cables

    def wait(self) -> None:
        """Until both nodes are ready."""
        for code in (HEADQUARTERS, MISSION):
            self._wait(code)

    def wait_empty(self, code: str, seconds: float) -> None:
        """Until nothing is queued at a node."""
        deadline = time.monotonic() + seconds
        with self._client(code) as client:
            while client.status().queues:
                if time.monotonic() > deadline:
                    raise Unavailable("timeout", f"the node of {code} has not sent everything")
                time.sleep(0.2)

    def stop(self, code: str) -> None:
        """End a node's process."""
        node = self._nodes.pop(code)
        node.terminate()
        node.wait()

    def pid(self, code: str) -> int:
        """The process of a running node."""
        return self._nodes[code].pid

    def terminal(self) -> AbstractContextManager[Terminal]:
        """The mission's terminal, at its node."""
        return open_terminal(self._terminal, PASSPHRASE)

    def sender(self) -> AbstractAsyncContextManager[Node]:
        """The mission's node in this process, nothing of it running yet."""
        return opened_node(self.home(MISSION))

    # --- processes ---------------------------------------------------------------------------------------------

    @property
    def _terminal(self) -> Path:
        return self.home(MISSION) / "terminals" / "first"

    def home(self, code: str) -> Path:
        """A post's folder."""
        return self._folder / code

    def _start(self, code: str) -> None:
        command = [sys.executable, "-m", "cli.main", "node", "run", "--home", str(self.home(code))]
        with (self.home(code) / "node.out").open("ab") as log:
            self._nodes[code] = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))

    def _client(self, code: str, identity: Any = None) -> NodeClient:
        folder = node_folder(self.home(code))
        own = load_node_keys(folder / KEYS_FOLDER).tls
        return NodeClient(load_config(folder).listen, own.certificate, identity or own)

    def _wait(self, code: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                with self._client(code) as client:
                    status = client.status()
            except Unavailable:
                status = None
            if status is not None and status.ready and status.policy_size == status.log_size:
                return
            time.sleep(0.1)
        raise Unavailable("timeout", f"the node of {code} did not start")


@asynccontextmanager
async def opened_node(home: Path) -> AsyncIterator[Node]:
    """The node of a post's folder in this process; none of its own work is begun."""
    folder = node_folder(home)
    config, tasks = load_config(folder), Tasks()
    keys, genesis = load_node_keys(folder / KEYS_FOLDER), load_genesis(folder / GENESIS_FILE)
    database = open_database(folder, config)
    clock, places = lambda: int(time.time()), (folder / INTAKE_FOLDER, folder / ENGINE_FOLDER)
    node = Node(config, keys, genesis, database, tasks, clock, *places)
    try:
        yield node
    finally:
        await tasks.close()
        await node.links.close()
        database.close()


class _Keeper:
    """A node client that keeps what a terminal hands in, and says that it is stored."""

    def __init__(self, client: NodeClient) -> None:
        self._client = client
        self.cables: list[Sealed] = []

    def put_cable(
        self,
        head: bytes,
        body: Iterable[bytes],
        body_length: int,
        anchor_salt: bytes,
        again: Iterable[bytes] = (),
    ) -> bytes:
        self.cables.append((head, b"".join(body), anchor_salt))
        return decode_head(head).envelope_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)
