"""A loopback byte relay between a client and a server, and what it saw of their TLS handshake."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Self

SUPPORTED_VERSIONS = 43  # RFC 8446 §4.2.1
KEY_SHARE = 51  # RFC 8446 §4.2.8
X25519MLKEM768 = 0x11EC  # draft-ietf-tls-ecdhe-mlkem
TLS_1_3 = 0x0304


class Relay:
    """Forwards connections to `port` and keeps the bytes of both directions."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent = bytearray()
        self.received = bytearray()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near, far = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink, seen in ((reader, far, self.sent), (near, writer, self.received)):
            self._tasks.add(asyncio.create_task(_pump(source, sink, seen)))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, seen: bytearray) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            seen += data
            sink.write(data)
            await sink.drain()
    sink.close()


def server_hello(stream: bytes) -> dict[int, bytes]:
    """The extensions of the ServerHello in the first record of a server's byte stream (RFC 8446 §4.1.3, §5.1)."""
    length = int.from_bytes(stream[3:5])
    hello = stream[5 : 5 + length]
    assert stream[0] == 22 and hello[0] == 2
    session_end = 4 + 2 + 32 + 1 + hello[38]
    return dict(_extensions(hello[session_end + 3 + 2 :]))


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, length = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]
