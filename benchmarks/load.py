"""A load on four validators: entries at a fixed rate, or as many as they take; the time of each until it is committed.

A signer waits for its entry before it signs the next one, as the ledger's sequence numbers ask. So do the kvstore's.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median, quantiles
from types import TracebackType
from typing import Protocol

from grpc import aio

from benchmarks.council import VALIDATORS, Council, Signer
from keys.purpose import Purpose
from ledger import bodies
from ledger.batch import CONFIDENTIAL
from ledger.entry import encode_entry, make_leaf, sign_entry
from node.api.limits import Limits, client_options
from node.api.tls import channel_credentials, channel_options
from protos import node_pb2 as pb
from protos.node_pb2_grpc import PeerStub

LOOK_SECONDS = 0.01
ENTRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """Seconds that each entry took, and how many were committed in a second."""

    seconds: tuple[float, ...]
    rate: float

    @property
    def median(self) -> float:
        """Half of the entries took at most so many seconds."""
        return median(self.seconds)

    @property
    def most(self) -> float:
        """95 % of the entries took at most so many seconds."""
        return quantiles(self.seconds, n=20)[-1]


class Lane(Protocol):
    """Someone who hands in one transaction after another."""

    async def commit(self) -> None:
        """Make the next one, hand it in, return once it is committed."""


async def at_rate(lanes: Sequence[Lane], rate: float, seconds: float) -> Load:
    """Hand in `rate` transactions a second by turns; a lane whose last one is still on its way is late itself."""
    taken: list[float] = []
    start, count = time.perf_counter(), int(rate * seconds)

    async def drive(number: int, lane: Lane) -> None:
        for turn in range(number, count, len(lanes)):
            due = start + turn / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await lane.commit()
            taken.append(time.perf_counter() - due)

    await asyncio.gather(*(drive(number, lane) for number, lane in enumerate(lanes)))
    return Load(tuple(taken), count / (time.perf_counter() - start))


async def at_once(lanes: Sequence[Lane], seconds: float) -> Load:
    """As fast as each lane gets its answers; the first tenth of the time does not count."""
    taken: list[float] = []
    start = time.perf_counter()
    counted, end = start + seconds / 10, start + seconds

    async def drive(lane: Lane) -> None:
        while (begun := time.perf_counter()) < end:
            await lane.commit()
            if counted <= time.perf_counter() <= end:
                taken.append(time.perf_counter() - begun)

    await asyncio.gather(*map(drive, lanes))
    return Load(tuple(taken), len(taken) / (end - counted))


# --- our ledger ------------------------------------------------------------------------------------------


class SignerLane:
    """A signer that brings its batches to one validator's node, as a post's node does: gRPC, until it is accepted."""

    def __init__(self, signer: Signer, network_id: bytes, stub: PeerStub) -> None:
        self._signer, self._network_id, self._stub = signer, network_id, stub

    async def commit(self) -> None:
        """See Lane."""
        leaf = next_batch(self._signer, self._network_id)
        answer = pb.EntryResult(code="pending")
        while answer.code in ("pending", "busy"):  # then a post sends the same bytes again
            answer = await self._stub.SubmitEntry(pb.EntryBytes(leaf=leaf), timeout=ENTRY_SECONDS)  # type: ignore[misc]
        if answer.code != "accepted":
            raise RuntimeError(f"an entry was not accepted: {answer.code} {answer.text}")


def next_batch(signer: Signer, network_id: bytes) -> bytes:
    """The signer's next entry, a leaf of some 210 bytes."""
    signer.sequence += 1
    entry = encode_entry("batch", signer.sequence, bodies.Batch(signer.code, CONFIDENTIAL, os.urandom(32), 64))
    signature = sign_entry(entry, signer.key, network_id, Purpose.ENTRY)
    return make_leaf(entry, [signature], signer.key.public_key.key_id)


class LedgerDoors:
    """Connections to the four validators' nodes, with another post's identity."""

    def __init__(self, council: Council, caller: str) -> None:
        self._council, self._caller = council, caller
        self._open = AsyncExitStack()

    async def __aenter__(self) -> list[SignerLane]:
        network_id = self._council.status(VALIDATORS[0]).network_id
        stubs = [await self._dial(code) for code in VALIDATORS]
        return [
            SignerLane(signer, network_id, stubs[number % len(stubs)])
            for number, signer in enumerate(self._council.signers)
        ]

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def _dial(self, code: str) -> PeerStub:
        certificate = self._council.keys(code).tls.certificate
        credentials = channel_credentials(self._council.keys(self._caller).tls, certificate)
        options = [*client_options(Limits()), *channel_options(certificate)]
        channel = aio.secure_channel(self._council.address(code), credentials, options)
        return PeerStub(await self._open.enter_async_context(channel))
