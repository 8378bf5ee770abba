"""Cables between two nodes, each step durable, against bare gRPC streaming of the same bytes and bare SQLite commits.

The receiver is a daemon of its own; the sender is the courier of a second post in this process, its queue full.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from benchmarks.harness import Row
from benchmarks.posts import Sealed, TwoPosts
from node.api.tls import TlsIdentity, channel_credentials, channel_options, make_identity, server_credentials

CABLES = 300
ROUNDS = 3
AIM = 0.5
WAIT_SECONDS = 120.0
METHOD = "/bench/Stream"


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, TwoPosts(Path(folder)) as posts:
        rates = []
        for _ in range(ROUNDS):
            cables = posts.seal(CABLES)
            seconds = asyncio.run(_carried(posts, cables))
            streamed, committed = asyncio.run(_streamed(cables)), _committed(cables, Path(folder) / "bare.db")
            rates.append((CABLES / seconds, CABLES / streamed, CABLES / committed))
    ours, stream, commit = sorted(rates)[ROUNDS // 2]
    yield Row("cable carried between two nodes, durable", ours, stream, "cables/s", "bare gRPC stream", ours / stream)
    slower = min(stream, commit)
    yield Row(
        "cable carried between two nodes, durable",
        ours,
        slower,
        "cables/s",
        "slower of stream and commits",
        ours / slower,
        AIM,
    )


async def _carried(posts: TwoPosts, cables: list[Sealed]) -> float:
    """Seconds from a full queue to an empty one: every cable stored by the daemon of the other post."""
    async with posts.sender() as node:
        for head, body, salt in cables:
            await node.uploads.put_cable(head, _once(body), salt, posts.terminal_id)
        start = time.perf_counter()
        carrying = asyncio.create_task(node.courier.run_for_ever())
        async with asyncio.timeout(WAIT_SECONDS):
            while node.courier.is_busy:
                await asyncio.sleep(0.001)
        seconds = time.perf_counter() - start
        carrying.cancel()
        with suppress(asyncio.CancelledError):
            await carrying
    return seconds


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _committed(cables: list[Sealed], path: Path) -> float:
    """Seconds for one commit a cable, as durable as the store's."""
    with suppress(FileNotFoundError):
        path.unlink()
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE cables (head BLOB, body BLOB)")
    start = time.perf_counter()
    for head, body, _ in cables:
        database.execute("BEGIN")
        database.execute("INSERT INTO cables VALUES (?, ?)", (head, body))
        database.execute("COMMIT")
    seconds = time.perf_counter() - start
    database.close()
    return seconds


async def _streamed(cables: list[Sealed]) -> float:
    """Seconds to stream head and body of each cable to another process over the same TLS, acknowledged one by one."""
    server, client = make_identity(), make_identity()
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(server, client.certificate, there))
    process.start()
    port = await asyncio.to_thread(here.recv)
    credentials, options = channel_credentials(client, server.certificate), channel_options(server.certificate)
    try:
        async with aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
            await _stream(channel, cables[:1])
            start = time.perf_counter()
            await _stream(channel, cables)
            return time.perf_counter() - start
    finally:
        process.kill()
        process.join()


async def _stream(channel: aio.Channel, cables: list[Sealed]) -> None:
    async def frames() -> AsyncIterator[bytes]:
        for head, body, _ in cables:
            yield head + body

    method: aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(METHOD)
    call = method(frames())
    if sum([1 async for _ in call]) != len(cables):
        raise RuntimeError("the bare stream lost a cable")


def _serve(server: TlsIdentity, client: bytes, there: Connection) -> None:
    asyncio.run(_serve_for_ever(server, client, there))


async def _serve_for_ever(identity: TlsIdentity, client: bytes, there: Connection) -> None:
    async def acknowledge(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
        async for _ in requests:
            yield b"stored"

    class Bare(grpc.GenericRpcHandler):
        def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
            return grpc.stream_stream_rpc_method_handler(acknowledge)

    server = aio.server()
    server.add_generic_rpc_handlers((Bare(),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(identity, lambda: [client]))
    await server.start()
    there.send(port)
    await server.wait_for_termination()
