"""The ABCI socket: frames and their bounds, order, and the answers to frames recorded from a real CometBFT."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.signing import DirectVerifier
from ledger.logfile import leaves_of, read_log
from ledger.machine import Machine
from node.abci import wire
from node.abci.frames import MAX_FRAME_BYTES, encode_frame, read_frame
from node.abci.messages import Finalized, TxResult, ValidatorKey
from node.abci.server import MAX_CONNECTIONS, SMALL_BLOCK, AbciServer
from node.abci.sockets import socket_address
from node.chain import Chain
from node.comet.program import VERSION
from node.consensus import Application, CommitBlock
from node.modules import MODULES
from protos import abci_pb2 as pb
from protos.errors import DutabartaError, Malformed, Refused
from support.chains import MemoryLog

VECTORS = Path(__file__).parents[1] / "vectors" / "abci"
FRAMES = json.loads((VECTORS / "frames.json").read_text("ascii"))


async def frames_of(data: bytes, limit: int = MAX_FRAME_BYTES) -> list[bytes]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    found = []
    while (frame := await read_frame(reader, limit)) is not None:
        found.append(frame)
    return found


@given(st.lists(st.binary(max_size=300)))
def test_frames_come_back_in_order(messages: list[bytes]) -> None:
    assert asyncio.run(frames_of(b"".join(map(encode_frame, messages)))) == messages


@given(st.binary(max_size=40))
def test_any_bytes_are_frames_or_a_named_error(data: bytes) -> None:
    try:
        frames = asyncio.run(frames_of(data, limit=32))
    except Malformed as problem:
        assert problem.code == "bad-engine-frame"
    else:
        assert sum(map(len, frames)) < max(1, len(data) + 1)


@pytest.mark.parametrize(
    "data",
    [b"\x81", b"\x05abcd", encode_frame(bytes(33)), b"\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x80\x00", b"\x80" * 99],
)
def test_cut_large_and_overlong_frames_are_refused_before_they_cost_memory(data: bytes) -> None:
    with pytest.raises(Malformed):
        asyncio.run(frames_of(data, limit=32))


@given(st.binary(max_size=100))
def test_any_frame_is_a_request_or_a_named_error(data: bytes) -> None:
    try:
        assert wire.decode_request(data).WhichOneof("value")
    except DutabartaError as problem:
        assert problem.code == "bad-engine-frame"


def test_unknown_fields_of_the_engine_are_skipped() -> None:
    request = pb.Request(check_tx=pb.RequestCheckTx(tx=b"x"))
    body = request.check_tx.SerializeToString() + b"\xfa\x3f\x01z"
    data = b"\x42" + bytes([len(body)]) + body
    assert wire.decode_request(data).check_tx.tx == b"x"


def test_result_codes_in_the_header_are_the_same_whatever_the_words() -> None:
    one, other = (Finalized((TxResult("wrong-sequence", text),), (), b"") for text in ("a", "b"))
    results = [wire.finalize_response(both).finalize_block.tx_results[0] for both in (one, other)]
    assert {(result.code, result.data) for result in results} == {(1, b"wrong-sequence")}


def test_validator_updates_carry_ed25519_keys() -> None:
    answer = wire.finalize_response(Finalized((), (ValidatorKey(bytes(32), 0), ValidatorKey(b"k" * 32, 1)), b""))
    assert [(one.pub_key.ed25519, one.power) for one in answer.finalize_block.validator_updates] == [
        (bytes(32), 0),
        (b"k" * 32, 1),
    ]


# --- the server ----------------------------------------------------------------------------------------------


class Served:
    """A server over the recorded network, its log in memory."""

    def __init__(self, application: Any, disk: list[bytes]) -> None:
        self.disk = disk
        self.server = AbciServer(application, self._store, VERSION)

    def _store(self, commit: CommitBlock) -> None:
        if commit.append is not None:
            self.disk.extend(commit.append.leaves)


def recorded() -> tuple[Application, list[bytes]]:
    with (VECTORS / "founding.log").open("rb") as file:
        leaves = list(leaves_of(read_log(file)))
    machine = Machine.found(leaves, MODULES, DirectVerifier())
    return Application(Chain(machine, MemoryLog(leaves))), leaves


def serving(
    tmp_path: Path, work: Callable[[Served, Path], Awaitable[None]], application: Any = None, **frames: int
) -> None:
    async def run() -> None:
        app, disk = recorded() if application is None else (application, [])
        served, path = Served(app, disk), tmp_path / "app.sock"
        await served.server.start(path)
        try:
            async with asyncio.timeout(30):
                await work(served, path)
        finally:
            await served.server.close()

    asyncio.run(run())


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes | None:
    writer.write(encode_frame(request))
    return await read_frame(reader)


def test_recorded_frames_get_the_recorded_answers(tmp_path: Path) -> None:
    assert {"info", "init_chain", "check_tx", "prepare_proposal", "process_proposal", "finalize_block", "commit"} <= {
        one["kind"] for one in FRAMES
    }

    async def work(served: Served, path: Path) -> None:
        founding = len(served.disk)
        reader, writer = await asyncio.open_unix_connection(path)
        for one in FRAMES:
            answer = await ask(reader, writer, bytes.fromhex(one["request"]))
            assert answer is not None and answer.hex() == one["answer"], one["kind"]
        writer.close()
        assert len(served.disk) > founding

    serving(tmp_path, work)


def test_many_requests_at_once_are_answered_in_their_order(tmp_path: Path) -> None:
    async def work(served: Served, path: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        requests = [pb.Request(echo=pb.RequestEcho(message=str(n))) for n in range(200)]
        writer.write(b"".join(encode_frame(one.SerializeToString()) for one in requests))
        for n in range(200):
            answer = await read_frame(reader)
            assert answer is not None and pb.Response.FromString(answer).echo.message == str(n)
        writer.close()

    serving(tmp_path, work)


class Slow:
    """An application whose FinalizeBlock waits until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def query(self, path: str) -> TxResult:
        return TxResult("accepted", "")

    def check_tx(self, tx: bytes) -> TxResult:
        return TxResult("accepted", "")

    def info(self) -> Any:
        from node.abci.messages import Info

        return Info(1, bytes(32))

    def finalize(self, proposal: object) -> Finalized:
        assert self.let_go.wait(20)
        return Finalized((), (), bytes(32))


def test_queries_and_entries_are_answered_while_a_large_block_is_applied(tmp_path: Path) -> None:
    slow = Slow()

    async def work(served: Served, path: Path) -> None:
        consensus, mempool, query = [await asyncio.open_unix_connection(path) for _ in range(3)]
        large = pb.RequestFinalizeBlock(txs=[b"%d" % number for number in range(SMALL_BLOCK + 1)])
        consensus[1].write(encode_frame(pb.Request(finalize_block=large).SerializeToString()))
        await consensus[1].drain()
        check = pb.Request(check_tx=pb.RequestCheckTx(tx=b"x")).SerializeToString()
        assert await ask(*mempool, check) is not None
        peer = pb.Request(query=pb.RequestQuery(path="/p2p/filter/id/00")).SerializeToString()
        assert await ask(*query, peer) is not None
        slow.let_go.set()
        answer = await read_frame(consensus[0])
        assert answer is not None and pb.Response.FromString(answer).WhichOneof("value") == "finalize_block"
        for _, writer in (consensus, mempool, query):
            writer.close()

    serving(tmp_path, work, slow)


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff\x7f", encode_frame(b"\xff"), encode_frame(b""), b"\x09cut"])
def test_a_malformed_frame_closes_its_connection_and_no_other(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(served: Served, path: Path) -> None:
        good, bad = await asyncio.open_unix_connection(path), await asyncio.open_unix_connection(path)
        bad[1].write(data)
        bad[1].write_eof()
        assert await bad[0].read() == b""
        echo = pb.Request(echo=pb.RequestEcho(message="still here")).SerializeToString()
        assert await ask(*good, echo) is not None
        for _, writer in (good, bad):
            writer.close()

    serving(tmp_path, work)
    assert "bad-engine-frame" in caplog.text


def test_a_refusal_is_an_exception_and_ends_the_connection(tmp_path: Path) -> None:
    async def work(served: Served, path: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        answer = await ask(reader, writer, pb.Request(commit=pb.RequestCommit()).SerializeToString())
        assert answer is not None and "nothing-decided" in pb.Response.FromString(answer).exception.error
        assert await reader.read() == b""
        writer.close()

    serving(tmp_path, work)


def test_connections_are_bounded(tmp_path: Path) -> None:
    async def work(served: Served, path: Path) -> None:
        echo = pb.Request(echo=pb.RequestEcho(message="x")).SerializeToString()
        kept = [await asyncio.open_unix_connection(path) for _ in range(MAX_CONNECTIONS)]
        for one in kept:
            assert await ask(*one, echo)
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        for _, one_writer in [*kept, (reader, writer)]:
            one_writer.close()

    serving(tmp_path, work)


def test_a_socket_in_a_deep_folder_is_served(tmp_path: Path) -> None:
    async def run() -> None:
        app, _ = recorded()
        server = AbciServer(app, lambda commit: None, VERSION)
        path = tmp_path / ("x" * 120) / "app.sock"
        path.parent.mkdir()
        await server.start(path)
        with socket_address(path) as address:
            reader, writer = await asyncio.open_unix_connection(address)
        writer.write(encode_frame(pb.Request(echo=pb.RequestEcho(message="here")).SerializeToString()))
        writer.write(encode_frame(pb.Request(flush=pb.RequestFlush()).SerializeToString()))
        answer = pb.Response.FromString(await read_frame(reader) or b"")
        assert answer.echo.message == "here"
        writer.close()
        await server.close()

    asyncio.run(run())


def test_a_path_too_long_for_a_socket_is_named_where_folders_cannot_be_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.abci.sockets._OPEN_FOLDERS", tmp_path / "none")
    with pytest.raises(Refused) as refused, socket_address(tmp_path / ("x" * 120) / "app.sock"):
        pass
    assert refused.value.code == "path-too-long"
