from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc import aio

from ledger.records import Roster
from node.api.door import Caller, Door, Role
from node.api.errors import from_status
from node.api.guard import current_caller, is_allowed
from node.api.limits import Bucket, Limits
from node.api.server import make_server
from node.api.tls import TlsIdentity, channel_credentials, channel_options, make_identity
from protos import node_pb2 as pb
from protos.errors import DutabartaError, Malformed, Refused, Unavailable
from protos.node_pb2_grpc import DeskServicer, DeskStub, PeerServicer, PeerStub

NODE, PEER, FORMER, TERMINAL, ELSEWHERE = (make_identity() for _ in range(5))
LIMITS = Limits(calls_per_second=5, burst=20, calls_per_caller=4, unary_seconds=2, idle_seconds=1)


class FakeState:
    """As much of ledger.state.State as the door reads."""

    def __init__(self) -> None:
        self.retired = 0
        self.former_until = 100

    def posts(self) -> list[Any]:
        return [
            self._post("DHA", NODE.certificate, b"", 0),
            self._post("DEL", PEER.certificate, FORMER.certificate, self.retired),
            self._post("BAD", b"no certificate at all", b"", 0),
        ]

    def roster(self, code: str) -> Roster:
        return Roster((), (b"t" * 32,) if code == "DHA" else (b"u" * 32,))

    def terminal(self, terminal_id: bytes) -> Any:
        identity = TERMINAL if terminal_id == b"t" * 32 else ELSEWHERE
        return SimpleNamespace(is_active=True, certificate=identity.certificate)

    def _post(self, code: str, certificate: bytes, former: bytes, retired: int) -> Any:
        return SimpleNamespace(
            code=code,
            is_active=not retired,
            certificate=certificate,
            former_certificate=former,
            former_until=self.former_until,
        )


class Desk(DeskServicer):
    """Answers that show what the guard let through."""

    async def GetStatus(self, _request: Any, _context: Any) -> pb.Status:  # type: ignore[override]
        return pb.Status(post=current_caller().post, role=current_caller().role)

    async def SubmitEntry(self, request: Any, _context: Any) -> pb.EntryResult:  # type: ignore[override]
        match request.leaf:
            case b"refused":
                raise Refused("unknown-post", "post জাপান is not on the ledger", hint="check the code", post="XYZ")
            case b"defect":
                raise ZeroDivisionError("a secret")
            case b"slow":
                await asyncio.sleep(60)
        return pb.EntryResult(code="accepted")

    async def PutCable(self, requests: Any, _context: Any) -> pb.Stored:  # type: ignore[override]
        return pb.Stored(id=b"".join([part.data async for part in requests]))

    async def GetTrustFile(self, _request: Any, _context: Any) -> AsyncIterator[pb.Chunk]:  # type: ignore[override]
        yield pb.Chunk(data=b"one")
        await asyncio.sleep(60)


class Peer(PeerServicer):
    """A stream that never ends by itself."""

    async def Follow(self, _request: Any, _context: Any) -> AsyncIterator[pb.FollowFrame]:  # type: ignore[override]
        yield pb.FollowFrame(hello=pb.Hello(post=current_caller().post))
        await asyncio.sleep(60)


# The generated classes are abstract: what these two leave out answers "unimplemented", as gRPC does by default.
for cls in (Desk, Peer):
    cls.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]

Test = Callable[[int, Door, FakeState], Awaitable[None]]


def run(test: Test) -> None:
    async def whole() -> None:
        state, door = FakeState(), Door("DHA", NODE.certificate)
        door.update(state, 50)  # type: ignore[arg-type]
        server, port = make_server(Peer(), Desk(), door, NODE, LIMITS, "127.0.0.1:0")
        await server.start()
        try:
            await test(port, door, state)
        finally:
            await server.stop(None)

    asyncio.run(whole())


def channel(port: int, identity: TlsIdentity) -> aio.Channel:
    return aio.secure_channel(
        f"127.0.0.1:{port}", channel_credentials(identity, NODE.certificate), options=channel_options(NODE.certificate)
    )


async def error_of(call: Awaitable[Any]) -> DutabartaError:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return from_status(caught.value, "here")


def test_the_caller_is_known_to_the_handler() -> None:
    async def test(port: int, _door: Door, _state: FakeState) -> None:
        for identity, role in ((TERMINAL, "terminal"), (NODE, "operator")):
            async with channel(port, identity) as link:
                status = await DeskStub(link).GetStatus(pb.Nothing(), timeout=5)
                assert (status.post, status.role) == ("DHA", role)
        for identity in (PEER, FORMER):
            async with channel(port, identity) as link:
                stream = PeerStub(link).Follow(pb.FollowRequest(), timeout=5)
                assert (await stream.read()).hello.post == "DEL"

    run(test)


def test_a_caller_of_the_wrong_kind_is_refused_by_name() -> None:
    async def test(port: int, _door: Door, _state: FakeState) -> None:
        async with channel(port, PEER) as link:
            assert (await error_of(DeskStub(link).GetStatus(pb.Nothing(), timeout=5))).code == "not-allowed"
        async with channel(port, TERMINAL) as link:
            stream = PeerStub(link).Follow(pb.FollowRequest(), timeout=5)
            assert (await error_of(stream.read())).code == "not-allowed"
        async with channel(port, NODE) as link:
            call = DeskStub(link).PutOpening(pb.Opening(), timeout=5)
            assert (await error_of(call)).code == "not-allowed"

    run(test)


def test_another_posts_terminal_does_not_get_through_the_handshake() -> None:
    async def test(port: int, _door: Door, _state: FakeState) -> None:
        async with channel(port, ELSEWHERE) as link:
            problem = await error_of(DeskStub(link).GetStatus(pb.Nothing(), timeout=5))
            assert isinstance(problem, Unavailable) and problem.code == "unreachable"

    run(test)


def test_a_retired_peers_open_stream_is_closed_and_its_open_connection_refused() -> None:
    async def test(port: int, door: Door, state: FakeState) -> None:
        async with channel(port, PEER) as link:
            stream = PeerStub(link).Follow(pb.FollowRequest(), timeout=20)
            await stream.read()
            state.retired = 7
            door.update(state, 50)  # type: ignore[arg-type]
            assert (await error_of(stream.read())).code == "retired"
            again = PeerStub(link).Follow(pb.FollowRequest(), timeout=5)
            assert (await error_of(again.read())).code == "unknown-caller"

    run(test)


def test_a_former_certificate_counts_until_its_time() -> None:
    door, state = Door("DHA", NODE.certificate), FakeState()
    door.update(state, 99)  # type: ignore[arg-type]
    assert door.caller(FORMER.certificate) == Caller(Role.POST, "DEL")
    door.update(state, 100)  # type: ignore[arg-type]
    assert door.caller(FORMER.certificate) is None


def test_bytes_that_are_no_certificate_shut_nobody_out() -> None:
    door = Door("DHA", NODE.certificate)
    door.update(FakeState(), 50)  # type: ignore[arg-type]
    assert b"no certificate at all" not in door.certificates()
    assert set(door.certificates()) == {i.certificate for i in (NODE, PEER, FORMER, TERMINAL)}


def test_a_named_error_arrives_whole() -> None:
    async def test(port: int, _door: Door, _state: FakeState) -> None:
        async with channel(port, TERMINAL) as link:
            problem = await error_of(DeskStub(link).SubmitEntry(pb.EntryBytes(leaf=b"refused"), timeout=5))
            assert type(problem) is Refused
            assert (problem.code, problem.text) == ("unknown-post", "post জাপান is not on the ledger")
            assert (problem.hint, problem.params) == ("check the code", {"post": "XYZ"})

    run(test)


def test_a_defect_shows_no_traceback_and_no_words_of_it() -> None:
    async def test(port: int, _door: Door, _state: FakeState) -> None:
        async with channel(port, TERMINAL) as link:
            with pytest.raises(aio.AioRpcError) as caught:
                await DeskStub(link).SubmitEntry(pb.EntryBytes(leaf=b"defect"), timeout=5)
            assert "secret" not in f"{caught.value} {caught.value.trailing_metadata()}"
            assert from_status(caught.value, "").code == "internal"

    run(test)


def test_a_call_ends_at_the_nodes_own_deadline() -> None:
    async def test(port: int, _door: Door, _state: FakeState) -> None:
        async with channel(port, TERMINAL) as link:
            problem = await error_of(DeskStub(link).SubmitEntry(pb.EntryBytes(leaf=b"slow")))
            assert (type(problem), problem.code) == (Unavailable, "timeout")

    run(test)


def test_a_client_that_falls_silent_in_an_upload_is_cut() -> None:
    async def test(port: int, _door: Door, _state: FakeState) -> None:
        async def parts() -> AsyncIterator[pb.CablePart]:
            yield pb.CablePart(data=b"x")
            await asyncio.sleep(60)

        async with channel(port, TERMINAL) as link:
            problem = await error_of(DeskStub(link).PutCable(parts()))
            assert problem.code == "timeout"

    run(test)


def test_a_flood_is_turned_away_and_others_are_served() -> None:
    async def test(port: int, _door: Door, _state: FakeState) -> None:
        async with channel(port, TERMINAL) as flood, channel(port, NODE) as other:
            calls = [DeskStub(flood).GetStatus(pb.Nothing(), timeout=5) for _ in range(60)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            turned_away = [a for a in answers if isinstance(a, grpc.RpcError)]
            assert len(turned_away) >= 30
            assert {from_status(a, "").code for a in turned_away} == {"too-many-calls"}, turned_away
            await DeskStub(other).GetStatus(pb.Nothing(), timeout=5)

    run(test)


def test_one_callers_connections_hold_no_more_calls_than_his_share_and_idle_ones_are_closed() -> None:
    async def test(port: int, _door: Door, _state: FakeState) -> None:
        channels = [channel(port, PEER) for _ in range(LIMITS.calls_per_caller + 2)]
        streams = [PeerStub(one).Follow(pb.FollowRequest()) for one in channels]
        first = await asyncio.gather(*(one.read() for one in streams), return_exceptions=True)
        turned_away = [one for one in first if isinstance(one, aio.AioRpcError)]
        assert len(turned_away) == 2
        assert {from_status(one, "").code for one in turned_away} == {"too-many-calls"}
        async with asyncio.timeout(20):  # only those whose call was turned away are idle
            while sum(one.get_state() == grpc.ChannelConnectivity.READY for one in channels) > LIMITS.calls_per_caller:
                await asyncio.sleep(0.1)
        for one in channels:
            await one.close()

    run(test)


def test_an_oversize_message_is_refused() -> None:
    async def test(port: int, _door: Door, _state: FakeState) -> None:
        async with channel(port, TERMINAL) as link:
            leaf = bytes(LIMITS.message_bytes + 1)
            problem = await error_of(DeskStub(link).SubmitEntry(pb.EntryBytes(leaf=leaf), timeout=5))
            assert (type(problem), problem.code) == (Refused, "too-large")
            await DeskStub(link).GetStatus(pb.Nothing(), timeout=5)

    run(test)


def test_a_taken_address_is_said() -> None:
    async def test(port: int, door: Door, _state: FakeState) -> None:
        with pytest.raises(Unavailable) as caught:
            make_server(Peer(), Desk(), door, NODE, LIMITS, f"127.0.0.1:{port}")
        assert caught.value.code == "cannot-listen"

    run(test)


def test_a_bucket_refills_at_its_rate_and_no_higher_than_its_burst() -> None:
    bucket = Bucket(rate=2, burst=3)
    assert [bucket.take(1000) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(1001) for _ in range(3)] == [True, True, False]
    assert [bucket.take(9999) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(0)


@pytest.mark.parametrize("detail", [b"", b"[]", b"{}", b'{"text": 1, "hint": 2, "params": 3}', b"\xff", b"{" * 5000])
def test_a_lying_nodes_detail_costs_only_its_text(detail: bytes) -> None:
    class Said(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.INVALID_ARGUMENT

        def trailing_metadata(self) -> Any:
            return (("dutabarta-code", "bad-thing"), ("dutabarta-detail-bin", detail))

    problem = from_status(Said(), "here")
    assert isinstance(problem, Malformed) and problem.code == "bad-thing"


def test_no_role_may_use_an_unknown_method() -> None:
    for role in Role:
        assert not is_allowed(Caller(role, "DHA"), "/dutabarta.node.v1.Other/Get")
