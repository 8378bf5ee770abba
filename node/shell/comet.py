"""A validator's side of the comet engine: while the ledger counts on this post, its CometBFT brings the blocks.

The order of a start is that of docs/developer/engine.md: rollback check, application, socket, then the engine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keys.signing import SoftwareSigner
from node.abci.server import AbciServer
from node.actions import Alarm
from node.api.tls import split_address
from node.broadcast import Broadcaster
from node.comet.engine import Engine
from node.comet.home import EngineConfig, EngineHome, EnginePeer
from node.comet.program import VERSION, find_program
from node.comet.store import load_position, store_commit
from node.config import NodeConfig
from node.consensus import Application, CommitBlock
from node.engine import engine_keys, engine_start, runs_engine
from node.shell.ledger import LedgerShell
from node.store.database import storage_errors
from protos.errors import Malformed, Refused, Unavailable

_log = logging.getLogger(__name__)
AGAIN_SECONDS = 1.0
LOOK_SECONDS = 0.5
IDLE_SECONDS = 5.0
FOLLOW_SECONDS = 10.0
LAST_SECONDS = 5.0
COMMIT_SECONDS = 1.0
EXERCISE_COMMIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """Where the engine's files are, and where engines listen: by default at the port after the node's own."""

    folder: Path
    config: NodeConfig
    address_of: Callable[[str], str | None]

    @property
    def listen(self) -> str:
        """host:port where other validators' engines reach this one."""
        listen = self.config.engine.listen or next_port(self.config.listen)
        if listen is None:
            hint, address = "name another as `listen` under [engine] in config.toml", self.config.listen
            raise Malformed("bad-address", f"there is no port after that of {address}", hint=hint, address=address)
        return listen

    def engine_of(self, post: str) -> str | None:
        """host:port of a post's engine, if it has one."""
        stated, address = self.config.engine.peers.get(post), self.address_of(post)
        return stated or (next_port(address) if address else None)


def next_port(address: str) -> str | None:
    """The same host, the port after; None after 65535."""
    _, port = split_address(address)
    return f"{address.rpartition(':')[0]}:{port + 1}" if port < 65535 else None


class CometShell:
    """Starts and stops the engine as the ledger says. All of it runs in the event loop's thread."""

    def __init__(self, ledger: LedgerShell, signer: SoftwareSigner | None, place: EnginePlace) -> None:
        """`signer` is the post's consensus key, if it has one."""
        self._ledger = ledger
        self._signer = signer
        self._place = place
        self._restored = Restored(ledger)

    async def run_for_ever(self) -> None:
        """Until cancelled, which stops the engine too. Raises what keeps an engine from running."""
        while True:
            await self._ledger.pulse.until(self._is_due, IDLE_SECONDS)
            signer, program = self._own_signer(), find_program(self._place.config.engine.program)
            await self._follow_first()
            if self._is_due():
                self._ledger.forget_undecided()
                await self._serve(EngineRun(self._ledger, signer, program, self._place, self._restored))

    async def _follow_first(self) -> None:
        """Do the rollback check; then take from the others what they decided meanwhile, if any of them answers.

        It may have ended this engine, and then no other validator's engine is there to say so. What they sent last is
        not final yet, perhaps.
        """
        ledger = self._ledger
        await ledger.pulse.until(lambda: ledger.witness.is_ready)
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOW_SECONDS):
                await ledger.pulse.until(self._has_followed)

    def _has_followed(self) -> bool:
        ledger = self._ledger
        if not self._is_due():
            return True
        return ledger.has_heard and not ledger.follower.is_behind and not ledger.has_undecided

    async def _serve(self, run: EngineRun) -> None:
        self._ledger.is_engine_running = True
        try:
            await run.serve(self._is_needed)
        finally:
            self._ledger.is_engine_running = False

    def _is_needed(self) -> bool:
        """Whether this post is a validator under comet, or a coming one, and still signs."""
        ledger = self._ledger
        return not ledger.witness.stopped and runs_engine(ledger.chain.machine.state, ledger.post)

    def _is_due(self) -> bool:
        """Whether it is one after blocks that cannot be given up, too: else it follows until they are final."""
        return self._is_needed() and runs_engine(self._ledger.sure_state, self._ledger.post)

    def _own_signer(self) -> SoftwareSigner:
        """The signer of the key that stands on the ledger. Raises `Refused("not-in-network")` if it is not here."""
        post, signer = self._ledger.chain.machine.state.post(self._ledger.post), self._signer
        if post is None or signer is None or post.consensus_key != signer.public_key.key:
            raise Refused(
                "not-in-network",
                f"keys/consensus.key is not the consensus key of post {self._ledger.post} on the ledger",
                hint="is this the folder, and the genesis, of this post?",
                post=self._ledger.post,
            )
        return signer


class Restored:
    """What the rollback check has found, told once to the engine: also late answers may show a restore."""

    def __init__(self, ledger: LedgerShell) -> None:
        self._ledger = ledger
        self._is_told = False

    @property
    def is_news(self) -> bool:
        """Whether the engine has not been told yet that this node's files are a backup's."""
        return self._ledger.witness.is_rolled_back and not self._is_told

    def take(self) -> bool:
        """`is_news`, once."""
        is_news = self.is_news
        self._is_told |= is_news
        return is_news


class EngineRun:
    """One engine, from where the log stands to where the ledger ends it."""

    def __init__(
        self,
        ledger: LedgerShell,
        signer: SoftwareSigner,
        program: Path,
        place: EnginePlace,
        restored: Restored,
    ) -> None:
        """Raises `Malformed`, `VerificationFailed("contradicting-log")`."""
        self._ledger = ledger
        self._signer = signer
        self._place = place
        self._restored = restored
        start, position = engine_start(ledger.chain), load_position(ledger.database)
        self._home = EngineHome(place.folder, start.chain_id)
        self._highest = position.height if position is not None and position.chain_id == start.chain_id else 0
        if self._highest and not self._home.has_blocks:
            _log.warning("the engine's folder is gone: it fetches its blocks again, and each must fit the own log")
            position = None
        self.application = Application(ledger.chain, position)
        self._server = AbciServer(self.application, self._store, VERSION, self._shown)
        self._engine = Engine(program, self._home, self._prepare, self._alarm, on_caught_up=self._caught_up)

    async def serve(self, is_needed: Callable[[], bool]) -> None:
        """Run the engine while `is_needed()` and the ledger goes on under it. Raises what no engine may cause."""
        with storage_errors():
            self._home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._server.start(self._home.app_socket)
        _log.info("the consensus engine of %s begins at %s", self._home.chain_id, self._place.listen)
        try:
            await _first(
                self._engine.run(),
                self._engine.watch(self._peers),
                self._broadcast_for_ever(),
                self._server_failed(),
                self._until_over(is_needed),
                self._restart_when_restored(),
            )
        finally:
            await self._server.close()
            self._home.app_socket.unlink(missing_ok=True)

    async def _until_over(self, is_needed: Callable[[], bool]) -> None:
        """Where the ledger ended the engine, its last block is given on to slower validators for a while."""
        await self._ledger.pulse.until(lambda: self.application.is_over or not is_needed(), IDLE_SECONDS)
        if self.application.is_over:
            await asyncio.sleep(LAST_SECONDS)

    async def _restart_when_restored(self) -> None:
        """An answer of the rollback check that comes late: from then on, nothing is signed with the own key."""
        while True:
            await self._ledger.pulse.until(lambda: self._restored.is_news and self._engine.process_id is not None)
            _log.warning("another post knows more of this node than its files: the engine starts anew as restored")
            self._engine.restart_at_once()
            await self._ledger.pulse.until(lambda: not self._restored.is_news)

    # --- blocks ------------------------------------------------------------------------------------------------

    def _store(self, commit: CommitBlock) -> None:
        store_commit(self._ledger.database, commit)

    def _shown(self, commit: CommitBlock) -> None:
        self._ledger.engine_decided(commit.position)
        if commit.append is not None:
            self._ledger.engine_appended(commit.append)
        if self._home.sign_state.release(commit.position.height, commit.time):
            _log.info("a block newer than the restore is committed: the engine gets its own key back")
            self._engine.restart()

    # --- entries -----------------------------------------------------------------------------------------------

    async def _broadcast_for_ever(self) -> None:
        """Hand what waits to the engine, in order; while it does not answer, ask until it does."""
        is_up = False
        while True:
            try:
                if not is_up:
                    await self._engine.rpc.status()
                is_up = True
                await self._broadcast()
            except Unavailable:
                is_up = False
                await asyncio.sleep(LOOK_SECONDS)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ledger.submitted.wait(), AGAIN_SECONDS)

    async def _broadcast(self) -> None:
        self._ledger.submitted.clear()
        sequencer = self._ledger.sequencer
        if not isinstance(sequencer, Broadcaster):
            return  # a coming validator takes no entries yet
        due = sequencer.tick(self._ledger.clock())
        for taken in await self._engine.rpc.broadcast([one.leaf for one in due]):
            if not taken.is_taken:
                _log.info("the engine does not take an entry: %s", taken.text)

    # --- the process -------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        is_exercise = self._ledger.chain.machine.genesis.exercise
        seconds = EXERCISE_COMMIT_SECONDS if is_exercise else COMMIT_SECONDS
        profile = self._place.config.engine.profile
        config = EngineConfig(self._place.listen, tuple(self._peers()), seconds, profile=profile)
        height, now = max(self._highest, self.application.info().height), self._ledger.clock()
        self._home.prepare(self.application.start, config, self._signer, height, now, self._restored.take())

    def _peers(self) -> list[EnginePeer]:
        """The other validators, and the coming ones."""
        keys = engine_keys(self._ledger.chain.machine.state)
        found = ((key, self._place.engine_of(code)) for key, code in keys.items() if code != self._ledger.post)
        return [EnginePeer(key, address) for key, address in found if address]

    def _caught_up(self, is_caught_up: bool) -> None:
        self.application.is_caught_up = is_caught_up

    def _alarm(self, code: str, text: str) -> None:
        self._ledger.perform([Alarm(code, self._ledger.post, text)])

    async def _server_failed(self) -> None:
        await self._server.failed


async def _first(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends; then end the others, wait for them, and raise what the first raised."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
