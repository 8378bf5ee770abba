"""CometBFT with its own kvstore application beside a network of ours, and lanes of a load to it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import socket
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.council import VALIDATORS, Council, last_words, spawn, wait_until
from benchmarks.load import ENTRY_SECONDS
from node.comet.rpc import EngineRpc
from protos.errors import Unavailable

LOOK_SECONDS = 0.01


def start_kvstore(council: Council) -> list[EngineRpc]:
    """Four more engines: the validators' configuration, genesis and keys, but other ports and the kvstore."""
    ports = {code: _engine_port(council.engine_home(code)) for code in VALIDATORS}
    moved = {port: _free_port() for port in ports.values()}
    homes = {code: council.folder / "kvstore" / code / "home" for code in VALIDATORS}
    for code, home in homes.items():
        shutil.copytree(council.engine_home(code) / "config", home / "config")
        (home / "data").mkdir()
        (home / "data" / "priv_validator_state.json").write_text(json.dumps({"height": "0", "round": 0, "step": 0}))
        config = home / "config" / "config.toml"
        text = re.sub(r"(?m)^proxy_app = .*$", 'proxy_app = "kvstore"', config.read_text())
        config.write_text(re.sub(r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{moved[found[1]]}", text))
        command = [str(council.program), "start", "--home", str(home)]
        council.beside.append(spawn(code, command, home.parent / "engine.out", home))
    engines = [EngineRpc(home.parent / "rpc.sock") for home in homes.values()]
    wait_until(lambda: all(map(_has_block, engines)), lambda: last_words(council.beside))
    return engines


def _has_block(engine: EngineRpc) -> bool:
    try:
        return asyncio.run(engine.status()).height > 0
    except Unavailable:
        return False


def _engine_port(home: Path) -> str:
    found = re.search(r'(?m)^laddr = "tcp://127\.0\.0\.1:(\d+)"', (home / "config" / "config.toml").read_text())
    if found is None:
        raise RuntimeError(f"{home} names no port")
    return found[1]


def _free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


class Commits:
    """Looks at one engine for new blocks, and wakes those whose transaction is in one.

    A block counts once the application has committed it: /abci_info names its height.
    """

    def __init__(self, rpc: EngineRpc) -> None:
        self._rpc = rpc
        self._waiting: dict[bytes, asyncio.Future[None]] = {}

    async def __aenter__(self) -> Self:
        self._height = await self._newest()
        self._task = asyncio.create_task(self._look_for_ever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def expect(self, tx: bytes) -> Awaitable[None]:
        """Done when `tx` is committed."""
        self._waiting[tx] = asyncio.get_running_loop().create_future()
        return asyncio.wait_for(self._waiting[tx], ENTRY_SECONDS)

    async def _look_for_ever(self) -> None:
        while True:
            with suppress(Unavailable):  # on a busy machine
                await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        newest = await self._newest() if self._waiting else self._height
        while self._height < newest:
            answer = await self._rpc.call("block", height=str(self._height + 1))
            self._height += 1
            for text in answer["result"]["block"]["data"]["txs"] or ():
                done = self._waiting.pop(base64.b64decode(text), None)
                if done is not None and not done.done():
                    done.set_result(None)

    async def _newest(self) -> int:
        answer = await self._rpc.call("abci_info")
        return int(answer["result"]["response"].get("last_block_height", 0))


class EngineDoor:
    """Hands transactions to one engine as a node does: what comes together goes in one request."""

    def __init__(self, rpc: EngineRpc) -> None:
        self._rpc = rpc
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._hand_for_ever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def hand_in(self, tx: bytes) -> None:
        """To be broadcast as soon as the request before has its answer."""
        self._queue.put_nowait(tx)

    async def _hand_for_ever(self) -> None:
        while True:
            txs = [await self._queue.get()]
            while not self._queue.empty():
                txs.append(self._queue.get_nowait())
            with suppress(Unavailable):
                await self._rpc.broadcast(txs)


class PairLane:
    """Brings pairs of the kvstore to one engine."""

    def __init__(self, length: int, door: EngineDoor, commits: Commits) -> None:
        self._length, self._door, self._commits = length, door, commits

    async def commit(self) -> None:
        """See Lane."""
        tx = pair(self._length)
        committed = self._commits.expect(tx)
        self._door.hand_in(tx)
        await committed


class PairDoors:
    """Lanes to the engines of the kvstore's network."""

    def __init__(self, engines: Sequence[EngineRpc], lanes: int, length: int) -> None:
        self._engines, self._lanes, self._length = engines, lanes, length
        self._open = AsyncExitStack()

    async def __aenter__(self) -> list[PairLane]:
        commits = await self._open.enter_async_context(Commits(self._engines[0]))
        doors = [await self._open.enter_async_context(EngineDoor(one)) for one in self._engines]
        return [PairLane(self._length, doors[number % len(doors)], commits) for number in range(self._lanes)]

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()


def pair(length: int) -> bytes:
    """A transaction of the kvstore, `length` bytes: a key and a value."""
    return (os.urandom(length // 2).hex()[:16] + "=" + os.urandom(length).hex())[:length].encode()
