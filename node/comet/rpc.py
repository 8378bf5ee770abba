"""The engine's RPC: JSON-RPC 2.0 over HTTP at its unix socket. One short connection for each call."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        sync = (await self._ask("status"))["sync_info"]
        return EngineStatus(int(sync["latest_block_height"]), bool(sync["catching_up"]))

    async def peers(self) -> frozenset[str]:
        """The ids of the connected peers."""
        return frozenset(one["node_info"]["id"] for one in (await self._ask("net_info"))["peers"])

    async def dial(self, peers: list[str]) -> None:
        """Dial these (id@host:port) now, whatever back-off the engine is in."""
        await self._ask("dial_peers", peers=peers, persistent=True, unconditional=False, private=False)

    async def broadcast(self, tx: bytes) -> Broadcasted:
        """Into the pool. What is there already counts as taken."""
        answer = await self._call("broadcast_tx_sync", tx=base64.b64encode(tx).decode())
        if "error" in answer:
            text = str(answer["error"].get("data") or answer["error"].get("message"))
            return Broadcasted(IN_CACHE in text, text)
        result = answer["result"]
        return Broadcasted(result["code"] == 0, str(result["log"]))

    async def _ask(self, method: str, **params: object) -> Any:
        answer = await self._call(method, **params)
        if "error" in answer:
            raise _silent(f"{method}: {answer['error']}")
        return answer["result"]

    async def _call(self, method: str, **params: object) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        try:
            async with asyncio.timeout(self._seconds):
                answer = json.loads(await self._exchange(body))
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as problem:
            raise _silent(f"{method}: {type(problem).__name__} {problem}") from problem
        if not isinstance(answer, dict) or not ({"result", "error"} & answer.keys()):
            raise _silent(f"{method}: no JSON-RPC answer")
        return answer

    async def _exchange(self, body: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self._socket, limit=_HEAD_BYTES)
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
            raise ValueError(f"an answer of over {MAX_ANSWER_BYTES} bytes")
    return b"".join(parts)


def _silent(text: str) -> Unavailable:
    return Unavailable(
        "engine-silent",
        f"the consensus engine does not answer ({text[:200]})",
        hint="the node starts it again; see the node's log if this lasts",
    )
