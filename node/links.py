"""Outgoing connections to other posts' nodes: one pinned channel a post, calls with deadlines, back-off for ever."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import grpc
from grpc import aio

from node.api.door import Door
from node.api.errors import from_status
from node.api.limits import Limits, client_options
from node.api.tls import TlsIdentity, channel_credentials, channel_options
from protos.errors import DutabartaError, Unavailable
from protos.node_pb2_grpc import PeerStub

if TYPE_CHECKING:
    from protos.node_pb2_grpc import PeerAsyncStub  # the generated module has it for type checkers only

A_co = TypeVar("A_co", covariant=True)
A = TypeVar("A")

CALL_SECONDS = 20.0


class Unary(Protocol[A_co]):
    """A unary method of a stub."""

    def __call__(self, request: Any, *, timeout: float) -> Any: ...


class Backoff:
    """How long to wait before the next try: doubling with full jitter up to `most` seconds, for ever."""

    def __init__(self, first: float = 0.2, most: float = 60.0, draw: Callable[[], float] = random.random) -> None:
        self._first = first
        self._most = most
        self._draw = draw
        self._tries = 0

    def next(self) -> float:
        """Seconds to wait after a failure."""
        ceiling = min(self._most, self._first * float(1 << min(self._tries, 30)))
        self._tries += 1
        return ceiling * (0.5 + self._draw() / 2)

    def reset(self) -> None:
        """A try has worked."""
        self._tries = 0


@dataclass(frozen=True, slots=True)
class _Link:
    address: str
    certificate: bytes
    channel: aio.Channel
    stub: PeerAsyncStub


class Links:
    """The channels, opened when first used and again when a post's address or certificate has changed."""

    def __init__(
        self, identity: TlsIdentity, door: Door, address_of: Callable[[str], str | None], limits: Limits
    ) -> None:
        self._identity = identity
        self._door = door
        self._address_of = address_of
        self._limits = limits
        self._links: dict[str, _Link] = {}
        self._closing: list[aio.Channel] = []
        self.reached: dict[str, bool] = {}

    def stub(self, post: str) -> PeerAsyncStub:
        """The Peer service of a post in force. Raises `Unavailable`."""
        address, certificate = self._address_of(post), self._door.certificate_of(post)
        if not address or certificate is None:
            raise Unavailable("unknown-post", f"post {post} is not in force on this node's ledger", post=post)
        link = self._links.get(post)
        if link is None or (link.address, link.certificate) != (address, certificate):
            if link is not None:
                self._closing.append(link.channel)
            link = self._links[post] = self._open(address, certificate)
        return link.stub

    async def call(
        self, post: str, method: Callable[[PeerAsyncStub], Unary[A]], request: object, seconds: float = CALL_SECONDS
    ) -> Any:
        """One unary call with a deadline. Raises what the peer refused with, or `Unavailable`."""
        try:
            answer = await method(self.stub(post))(request, timeout=seconds)
        except grpc.RpcError as problem:
            raise self.failed(post, problem) from problem
        self.reached[post] = True
        return answer

    def failed(self, post: str, problem: grpc.RpcError) -> DutabartaError:
        """The error a broken call to `post` means; notes whether the post was reached."""
        error = from_status(problem, post)
        self.reached[post] = not isinstance(error, Unavailable)
        return error

    async def close(self) -> None:
        """End all connections."""
        for channel in [*self._closing, *(link.channel for link in self._links.values())]:
            await channel.close()
        self._links.clear()
        self._closing.clear()

    def _open(self, address: str, certificate: bytes) -> _Link:
        # min_reconnect_backoff_ms stays at its 20 s: it bounds the handshake, which takes seconds on a thin line.
        options: list[tuple[str, Any]] = [
            *client_options(self._limits),
            *channel_options(certificate),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2000),
        ]
        credentials = channel_credentials(self._identity, certificate)
        channel = aio.secure_channel(address, credentials, options, compression=grpc.Compression.Gzip)
        return _Link(address, certificate, channel, PeerStub(channel))
