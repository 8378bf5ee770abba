"""Counting what a post's node sends and receives: loopback relays in front of it and in front of those it dials."""

from __future__ import annotations

import asyncio
import contextlib
from threading import Thread
from types import TracebackType
from typing import Self

_PIECE = 65_536


class Meter:
    """Relays of any number of addresses, and the bytes of all their connections in both directions.

    What is counted are TLS records; TCP and IP headers, some 40 bytes a packet, are not seen.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._pumps: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def before(self, address: str) -> str:
        """The address (host:port) of a new relay to `address`, which need not answer yet."""
        return asyncio.run_coroutine_threadsafe(self._listen(address), self._loop).result()

    async def _listen(self, address: str) -> str:
        host, _, port = address.rpartition(":")

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                near, far = await asyncio.open_connection(host, int(port))
            except OSError:
                writer.close()
                return
            for source, sink in ((reader, far), (near, writer)):
                pump = asyncio.create_task(self._pump(source, sink))
                self._pumps.add(pump)
                pump.add_done_callback(self._pumps.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_PIECE):
                self.bytes += len(data)
                sink.write(data)
                await sink.drain()
        sink.close()
