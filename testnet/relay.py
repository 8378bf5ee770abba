"""The process through which every link between posts goes: `python -m testnet.relay DIR`, told by relay.sock.

Every link, from one post's node or engine to another's, has a loopback address of its own, so the address that was
dialled says whose link it is. A cut is silent, as of a cable: bytes, ends and resets wait until it is healed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from node.abci.sockets import socket_address
from testnet.layout import load_layout
from testnet.lines import Lines
from testnet.orders import MAX_ORDER_BYTES, SOCKET, answer

SPARE_FILES = 256
MAX_EARLY_BYTES = 64 * 1024
MAX_CHUNKS = 32

_log = logging.getLogger(__name__)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """Carries the connections of `links`: own address -> (source, target, where the target listens)."""

    def __init__(self, lines: Lines, links: Mapping[str, tuple[str, str, str]], most: int = 1024) -> None:
        """`most` connections at once; more are ended as they come."""
        self.lines = lines
        self._most = most
        self.connections = 0
        self._links = links
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> asyncio.Server:
        """Listen at every link's address, which is of loopback. Raises OSError."""
        return await asyncio.start_server(self._accept, list(self._links), port)

    def changed(self) -> None:
        """To be called after a change of the lines: whoever waits looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def close(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.connections >= self._most:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source, target, address = self._links[writer.get_extra_info("sockname")[0]]
        self.connections += 1
        opened = [writer]
        try:
            early = await self._until_dialled(reader, source, target)
            if early is None:
                return
            host, _, port = address.rpartition(":")
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            opened.append(far_writer)
            forth = Way(self, (reader, far_writer), source, target, early)
            back = Way(self, (far_reader, writer), target, source)
            await asyncio.gather(forth.carry(lambda: back.has_ended), back.carry(lambda: forth.has_ended))
        except OSError:
            pass  # nobody listens there, as at a post that is down: the dialler sees its connection end
        finally:
            self.connections -= 1
            for one in opened:
                one.transport.abort()

    async def _until_dialled(self, reader: asyncio.StreamReader, source: str, target: str) -> bytes | None:
        """Wait while the link is cut; what the dialler has sent meanwhile, or None if it has given up."""
        early = bytearray()
        while self.lines.is_cut(source, target) or self.lines.is_cut(target, source):
            changing = asyncio.create_task(self._changed.wait())
            reading = asyncio.create_task(reader.read(MAX_EARLY_BYTES))
            waiting = {changing, reading} if len(early) < MAX_EARLY_BYTES else {changing}
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in (changing, reading):
                if one not in done:
                    one.cancel()
            if reading in done:
                data = reading.result()
                if not data:
                    return None
                early += data
        return bytes(early)

    async def until_open(self, source: str, target: str, is_over: Callable[[], bool]) -> bool:
        """Wait while nothing goes from `source` to `target`; False if `is_over()` before that."""
        while self.lines.is_cut(source, target):
            if is_over():
                return False
            await self._changed.wait()
        return True


class Way:
    """One direction of a connection: reads at one post, writes at the other when the lines let it arrive."""

    def __init__(self, relay: Relay, ends: Streams, source: str, target: str, early: bytes = b"") -> None:
        """`ends`: where to read and where to write; `early` has been read already."""
        self.has_ended = False
        self._relay = relay
        self._reader, self._writer = ends
        self._source, self._target = source, target
        self._early = early
        self._under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_CHUNKS)

    async def carry(self, has_other_ended: Callable[[], bool]) -> None:
        """Until all that the sender sent has arrived, or the receiver is gone.

        Where both have ended behind a cut, neither will ever know: it is over.
        """
        reading = asyncio.create_task(self._read())
        try:
            with suppress(ConnectionError):
                await self._write(lambda: self.has_ended and has_other_ended())
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        """Take what the sender sends, no faster than it leaves; its end is an empty chunk."""
        lines, clock, latest = self._relay.lines, asyncio.get_running_loop().time, 0.0
        data = self._early
        with suppress(ConnectionError):
            while data := data or await self._reader.read(lines.chunk_bytes(self._source, self._target)):
                latest = max(latest, lines.arrival(self._source, self._target, len(data), clock()))
                await self._under_way.put((latest, data))
                data = b""
        self.has_ended = True
        self._relay.changed()
        await self._under_way.put((latest, b""))

    async def _write(self, is_over: Callable[[], bool]) -> None:
        clock, data = asyncio.get_running_loop().time, b"."
        while data:
            at, data = await self._under_way.get()
            if (wait := at - clock()) > 0:
                await asyncio.sleep(wait)
            if not await self._relay.until_open(self._source, self._target, is_over):
                return
            self._writer.write(data)
            await self._writer.drain()
        self._writer.write_eof()


async def serve(folder: Path) -> None:
    """Relay the links of the test network in `folder` until SIGTERM."""
    layout = load_layout(folder)
    links = layout.links()
    relay = Relay(Lines(layout.codes, layout.seed), links, (raise_file_limit() - len(links) - SPARE_FILES) // 2)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)

    async def obey(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ValueError):  # ValueError: a line that is too long
            while line := await reader.readline():
                writer.write(answer(relay.lines, line, relay.connections))
                relay.changed()
                await writer.drain()
        writer.close()

    socket = folder / SOCKET
    socket.unlink(missing_ok=True)
    with socket_address(socket) as address:
        orders = await asyncio.start_unix_server(obey, address, limit=MAX_ORDER_BYTES)
    async with await relay.listen(layout.port), orders:
        socket.chmod(0o600)
        _log.info("relaying %d links", len(links))
        await stopped.wait()
        await relay.close()


def raise_file_limit() -> int:
    """Allow this process as many open files as it may have; how many these are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.umask(0o077)
    asyncio.run(serve(Path(sys.argv[1])))
