"""The engine's RPC: JSON-RPC 2.0 over HTTP at its unix socket. One short connection for each."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.abci.sockets import socket_address
from protos.errors import Unavailable

MAX_ANSWER_BYTES = 4 * 1024 * 1024
_HEAD_BYTES = 64 * 1024
IN_CACHE = "tx already exists in cache"
BROADCAST = "broadcast_tx_async"
MAX_BATCH = 64
MAX_BATCH_BYTES = 512 * 1024


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

    async def broadcast(self, txs: Sequence[bytes]) -> tuple[Broadcasted, ...]:
        """Into the pool, in order. What is there already counts as taken.

        Not broadcast_tx_sync: the engine lets each CheckTx wait up to 20 ms for company before it sends it.
        """
        taken: list[Broadcasted] = []
        for batch in _batches(txs):
            answers = await self._post([_request(n, BROADCAST, {"tx": _base64(tx)}) for n, tx in enumerate(batch)])
            with _read(BROADCAST):
                if len(answers) != len(batch):
                    raise ValueError("one result for each")
                taken += map(_taken, answers)
        return tuple(taken)

    async def call(self, method: str, **params: object) -> Any:
        """Any method of the engine's RPC; the whole answer, with its `result` or `error`."""
        return await self._post(_request(1, method, params))

    async def _post(self, request: object) -> Any:
        try:
            async with asyncio.timeout(self._seconds):
                data = await self._exchange(json.dumps(request).encode())
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as problem:
            raise _silent(f"{type(problem).__name__} {problem}") from problem
        with _read("JSON"):
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


def _request(number: int, method: str, params: Mapping[str, object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def _taken(answer: Any) -> Broadcasted:
    if "error" not in answer:
        return Broadcasted(answer["result"]["code"] == 0, str(answer["result"]["log"]))
    text = str(answer["error"].get("data") or answer["error"].get("message"))
    return Broadcasted(IN_CACHE in text, text)


def _batches(txs: Sequence[bytes]) -> Iterator[list[bytes]]:
    """As many as one request may carry: the engine takes 1,000,000 bytes of JSON."""
    batch: list[bytes] = []
    room = MAX_BATCH_BYTES
    for tx in txs:
        if batch and (len(batch) == MAX_BATCH or len(tx) > room):
            yield batch
            batch, room = [], MAX_BATCH_BYTES
        batch.append(tx)
        room -= len(tx)
    if batch:
        yield batch


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


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
