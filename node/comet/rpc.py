"""The engine's RPC: JSON-RPC 2.0 over HTTP at its unix socket. One short connection for each call."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.abci.sockets import socket_address
from protos.errors import Unavailable

MAX_ANSWER_BYTES = 4 * 1024 * 1024
_HEAD_BYTES = 64 * 1024
IN_CACHE = "tx already exists in cache"


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What the engine says of itself: the newest committed height, and whether it still fetches old blocks."""

    height: int
    is_catching_up: bool


@dataclass(frozen=True, slots=True)
class Broadcasted:
    """Whether the engine has the transaction in its pool, now or since before; `text` says why not."""

    is_taken: bool
    text: str


class EngineRpc:
    """Calls to one engine. Every method raises `Unavailable("engine-silent")` if it does not answer."""

    def __init__(self, socket: Path, seconds: float = 5.0) -> None:
        self._socket = socket
        self._seconds = seconds

    async def status(self) -> EngineStatus:
        """Height and whether it catches up."""
        answer = await self.call("status")
        with _read("status"):
            sync = answer["result"]["sync_info"]
            return EngineStatus(int(sync["latest_block_height"]), bool(sync["catching_up"]))

    async def peers(self) -> frozenset[str]:
        """The ids of the connected peers."""
        answer = await self.call("net_info")
        with _read("net_info"):
            return frozenset(str(one["node_info"]["id"]) for one in answer["result"]["peers"])

    async def dial(self, peers: list[str]) -> None:
        """Dial these (id@host:port) now, whatever back-off the engine is in."""
        answer = await self.call("dial_peers", peers=peers, persistent=True, unconditional=False, private=False)
        with _read("dial_peers"):
            answer["result"]

    async def broadcast(self, tx: bytes) -> Broadcasted:
        """Into the pool. What is there already counts as taken."""
        answer = await self.call("broadcast_tx_sync", tx=base64.b64encode(tx).decode())
        with _read("broadcast_tx_sync"):
            if "error" in answer:
                text = str(answer["error"].get("data") or answer["error"].get("message"))
                return Broadcasted(IN_CACHE in text, text)
            return Broadcasted(answer["result"]["code"] == 0, str(answer["result"]["log"]))

    async def call(self, method: str, **params: object) -> Any:
        """Any method of the engine's RPC; the whole answer, with its `result` or `error`."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        try:
            async with asyncio.timeout(self._seconds):
                data = await self._exchange(body)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as problem:
            raise _silent(f"{method}: {type(problem).__name__} {problem}") from problem
        with _read(method):
            return json.loads(data)

    async def _exchange(self, body: bytes) -> bytes:
        with socket_address(self._socket) as address:
            reader, writer = await asyncio.open_unix_connection(address, limit=_HEAD_BYTES)
        try:
            writer.write(
                b"POST / HTTP/1.0\r\nHost: engine\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
            await writer.drain()
            await reader.readuntil(b"\r\n\r\n")
            return await _read_body(reader)
        finally:
            writer.close()


async def _read_body(reader: asyncio.StreamReader) -> bytes:
    """Until the engine closes: HTTP/1.0 knows no chunks."""
    parts, size = list[bytes](), 0
    while part := await reader.read(_HEAD_BYTES):
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise OSError(f"an answer of over {MAX_ANSWER_BYTES} bytes")
    return b"".join(parts)


@contextmanager
def _read(method: str) -> Iterator[None]:
    """Whatever an answer lacks is one error."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as problem:
        raise _silent(f"{method}: an answer without {problem}") from problem


def _silent(text: str) -> Unavailable:
    return Unavailable(
        "engine-silent",
        f"the consensus engine does not answer ({text[:200]})",
        hint="the node starts it again; see the node's log if this lasts",
    )
