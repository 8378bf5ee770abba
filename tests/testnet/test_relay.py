"""The relay between real sockets of loopback: what a cut, a heal, a delay, a rate do to a connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from testnet.layout import Layout, Place
from testnet.lines import Lines, Shape
from testnet.orders import answer
from testnet.relay import Relay

SOON = 10.0
A_WHILE = 0.3
"""Long enough for loopback to bring what is not held back."""


class Pair:
    """DHA has dialled DEL through a relay; `near` is DHA's side. More connections by `dial`."""

    def __init__(self, relay: Relay, host: str, port: int, accepted: asyncio.Queue[Connection]) -> None:
        self.relay, self.lines = relay, relay.lines
        self._host, self._port, self._accepted = host, port, accepted

    async def dial(self) -> Connection:
        """DHA's side of a new connection."""
        return Connection(*await asyncio.open_connection(self._host, self._port))

    async def accepted(self) -> Connection:
        """DEL's side of the next connection that reaches it."""
        return await asyncio.wait_for(self._accepted.get(), SOON)

    async def both(self) -> tuple[Connection, Connection]:
        """The two sides of a new connection."""
        near = await self.dial()
        return near, await self.accepted()

    @property
    def nobody_came(self) -> bool:
        return self._accepted.empty()

    def cut(self, source: str, target: str) -> None:
        self.lines.cut([source], [target])
        self.relay.changed()

    def heal(self) -> None:
        self.lines.heal()
        self.relay.changed()


class Connection:
    """One side of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def gets(self, data: bytes) -> bool:
        """Whether exactly this comes next."""
        return await asyncio.wait_for(self._reader.readexactly(len(data)), SOON) == data

    async def is_silent(self) -> bool:
        """Whether neither a byte nor the end comes for a while."""
        try:
            await asyncio.wait_for(self._reader.read(1), A_WHILE)
        except TimeoutError:
            return True
        return False

    async def has_ended(self) -> bool:
        """Whether the end comes next."""
        try:
            return await asyncio.wait_for(self._reader.read(1), SOON) == b""
        except ConnectionError:
            return True

    def end(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    accepted: asyncio.Queue[Connection] = asyncio.Queue()
    server = await asyncio.start_server(lambda *ends: accepted.put_nowait(Connection(*ends)), "127.0.0.1", 0)
    target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    layout = Layout(0, 0, {"DHA": Place("127.0.0.1:1"), "DEL": Place(target)})
    host = layout.node_link("DHA", "DEL").rpartition(":")[0]
    relay = Relay(Lines(layout.codes), {host: layout.links()[host]})
    listener = await relay.listen(0)
    try:
        yield Pair(relay, host, listener.sockets[0].getsockname()[1], accepted)
    finally:
        listener.close()
        server.close()
        await relay.close()


def run(work: Callable[[Pair], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with pair() as net, asyncio.timeout(60):
            await work(net)

    asyncio.run(whole())


def test_bytes_go_both_ways_and_are_counted_by_post() -> None:
    async def work(net: Pair) -> None:
        near, far = await net.both()
        await near.send(b"question")
        assert await far.gets(b"question")
        await far.send(b"an answer")
        assert await near.gets(b"an answer")
        state = json.loads(answer(net.lines, b'{"do": "state"}'))["state"]
        assert state["sent_bytes"] == {"DHA": 8, "DEL": 9}
        assert state["received_bytes"] == {"DEL": 8, "DHA": 9}

    run(work)


def test_much_comes_whole_and_in_order_over_a_line_with_delay_and_loss() -> None:
    async def work(net: Pair) -> None:
        net.lines.shape("DEL", Shape(kbit=20_000, delay_ms=20, loss_percent=1.0))
        near, far = await net.both()
        data = bytes(range(256)) * 1200
        sending = asyncio.create_task(near.send(data))
        assert await far.gets(data)
        await sending

    run(work)


def test_a_cut_link_is_silent_and_after_the_heal_everything_comes() -> None:
    async def work(net: Pair) -> None:
        near, far = await net.both()
        net.cut("DHA", "DEL")
        net.cut("DEL", "DHA")
        await near.send(b"question")
        await far.send(b"answer")
        assert await far.is_silent() and await near.is_silent()
        net.heal()
        assert await far.gets(b"question") and await near.gets(b"answer")

    run(work)


def test_a_link_cut_one_way_still_carries_the_other() -> None:
    async def work(net: Pair) -> None:
        near, far = await net.both()
        net.cut("DHA", "DEL")
        await near.send(b"question")
        await far.send(b"answer")
        assert await near.gets(b"answer")
        assert await far.is_silent()

    run(work)


@pytest.mark.parametrize("way", [("DHA", "DEL"), ("DEL", "DHA")])
def test_who_dials_a_cut_link_reaches_nobody_until_it_is_healed(way: tuple[str, str]) -> None:
    async def work(net: Pair) -> None:
        net.cut(*way)
        near = await net.dial()
        await near.send(b"early")
        assert await near.is_silent() and net.nobody_came
        net.heal()
        assert await (await net.accepted()).gets(b"early")

    run(work)


def test_who_gives_up_dialling_a_cut_link_leaves_nothing_behind() -> None:
    async def work(net: Pair) -> None:
        net.cut("DHA", "DEL")
        near = await net.dial()
        await near.send(b"early")
        near.end()
        await until(lambda: net.relay.connections == 0)
        net.heal()
        await asyncio.sleep(A_WHILE)
        assert net.nobody_came

    run(work)


@pytest.mark.parametrize("ending", [Connection.end, Connection.reset])
def test_an_end_is_held_back_by_a_cut_and_comes_after_the_heal(ending: Callable[[Connection], None]) -> None:
    async def work(net: Pair) -> None:
        near, far = await net.both()
        net.cut("DHA", "DEL")
        ending(near)
        assert await far.is_silent()
        net.heal()
        assert await far.has_ended()

    run(work)


def test_where_both_ends_have_gone_behind_a_cut_the_connection_is_forgotten() -> None:
    async def work(net: Pair) -> None:
        near, far = await net.both()
        net.cut("DHA", "DEL")
        net.cut("DEL", "DHA")
        near.end()
        far.end()
        await until(lambda: net.relay.connections == 0)

    run(work)


def test_an_end_lets_the_other_way_go_on() -> None:
    async def work(net: Pair) -> None:
        near, far = await net.both()
        near._writer.write_eof()
        assert await far.has_ended()
        await far.send(b"last words")
        assert await near.gets(b"last words")
        far.end()
        assert await near.has_ended()
        await until(lambda: net.relay.connections == 0)

    run(work)


def test_a_post_that_does_not_listen_ends_the_connection() -> None:
    async def work(net: Pair) -> None:
        links = net.relay._links
        source, target, _ = next(iter(links.values()))
        net.relay._links = dict.fromkeys(links, (source, target, "127.0.0.1:1"))
        assert await (await net.dial()).has_ended()

    run(work)


def test_more_connections_than_allowed_are_ended_at_once() -> None:
    async def work(net: Pair) -> None:
        net.relay._most = 1
        near, _ = await net.both()
        assert await (await net.dial()).has_ended()
        assert await near.is_silent()

    run(work)


def test_a_delayed_line_takes_its_time_and_keeps_the_order() -> None:
    async def work(net: Pair) -> None:
        net.lines.shape("DEL", Shape(delay_ms=200))
        near, far = await net.both()
        clock = asyncio.get_running_loop().time
        began = clock()
        await near.send(b"a")
        await near.send(b"b")
        assert await far.gets(b"ab")
        assert clock() - began >= 0.199

    run(work)


def test_a_slow_line_takes_the_time_of_its_bits_and_holds_its_sender_back() -> None:
    async def work(net: Pair) -> None:
        net.lines.shape("DEL", Shape(kbit=400))
        near, far = await net.both()
        clock = asyncio.get_running_loop().time
        began = clock()
        sending = asyncio.create_task(near.send(bytes(30_000)))
        assert await far.gets(bytes(30_000))
        await sending
        assert clock() - began >= 0.55  # 600 ms less the last chunk's rounding

    run(work)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not holds():
            await asyncio.sleep(0.01)


BAD = [
    b"", b"[]", b"3", b"{", b"\xff", b'{"do": "dance"}', b'{"do": "cut"}', b'{"do": "cut", "from": ["XXX"], "to": []}',
    b'{"do": "cut", "from": 3, "to": []}', b'{"do": "cut", "from": [["DHA"]], "to": []}',
    b'{"do": "shape", "post": "DHA", "kbit": -1, "delay_ms": 0, "loss_percent": 0}',
    b'{"do": "shape", "post": "DHA", "kbit": "1", "delay_ms": 0, "loss_percent": 0}',
    b'{"do": "shape", "post": "DHA", "kbit": 1, "delay_ms": 0, "loss_percent": NaN}',
    b'{"do": "shape", "post": "DHA", "kbit": 1, "delay_ms": 0, "loss_percent": 100}',
    b'{"do": "shape", "post": ["DHA"], "kbit": 1, "delay_ms": 0, "loss_percent": 0}', b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("line", BAD, ids=range(len(BAD)))
def test_what_is_no_order_is_answered_and_changes_nothing(line: bytes) -> None:
    lines = Lines(["DHA", "DEL"])
    assert json.loads(answer(lines, line))["ok"] is False
    assert not lines.cuts and not lines.shapes


def test_every_link_of_82_posts_has_a_loopback_address_of_its_own() -> None:
    posts = {
        f"P{n:02}": Place(f"127.0.0.1:{20_000 + n}", f"127.0.0.1:{30_000 + n}" if n < 13 else "") for n in range(82)
    }
    links = Layout(4000, 0, posts).links()
    assert len(links) == 82 * 81 + 13 * 12
    assert all(host.startswith("127.") for host in links)
    layout = Layout(4000, 0, posts)
    assert links[layout.node_link("P81", "P03").rpartition(":")[0]] == ("P81", "P03", "127.0.0.1:20003")
    assert links[layout.engine_link("P01", "P12").rpartition(":")[0]] == ("P01", "P12", "127.0.0.1:30012")
