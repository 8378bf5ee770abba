"""Our cables beside other messengers: what a message costs, how long it is, what is lost under one fault plan.

A messenger authenticates a device; a cable carries besides the dual signature of the officer who released it. In the
rows "without release signature" it is neither made nor checked (its bytes are there), so that like stands beside like.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.cable import AWAY, HOME, NETWORK_ID, Network, Seat, recipient_of, seal_text
from benchmarks.correspondence import Correspondence, Libsignal, Olm, Peer, Ratchets
from benchmarks.harness import Row, compare, count_row, rate_row, remark
from benchmarks.losses import Cables, Plan
from benchmarks.wire import real_text
from crypto_msg.content import DUAL_BYTES
from crypto_msg.envelope import decode_head, encode_head
from crypto_msg.opening import Reader, open_cable
from crypto_msg.wraps import split_head
from keys.public import SUITE_DUAL, PublicKey
from keys.purpose import Purpose
from keys.signing import DirectVerifier, Signer

MESSAGES = 20
FASTER = 1.5
WRAP_BYTES = 1176 + 32 + 8 * 32
"""A wrap, its terminal's id, and a path that would do for 256 terminals."""


class _NoRelease:
    """Signs nothing, in the room of the officer's dual signature."""

    def __init__(self, signer: Signer) -> None:
        self.public_key = signer.public_key

    def sign(self, purpose: Purpose, network_id: bytes, payload: bytes) -> bytes:
        return bytes(DUAL_BYTES)


class _TerminalsOnly:
    """Checks the terminals' signatures."""

    def __init__(self) -> None:
        self._verifier = DirectVerifier()

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        if key.suite != SUITE_DUAL:
            self._verifier.verify(key, purpose, network_id, payload, signature)


class Sealing(Correspondence):
    """Cables between two terminals that know each other's prekeys; by itself the books are kept as for the others."""

    name = "Dutabarta"

    def __init__(self, folder: Path, *, with_release: bool = True, is_durable: bool = True) -> None:
        super().__init__(folder, is_durable=is_durable)
        network = Network()
        self._seats = [_seat(network, post, with_release) for post in (HOME, AWAY)]
        self._readers = [
            Reader(
                NETWORK_ID,
                seat.terminal.terminal_id,
                {seat.bundle_hash: seat.prekey},
                network,
                DirectVerifier() if with_release else _TerminalsOnly(),
            )
            for seat in self._seats
        ]
        self._recipients = [[recipient_of(seat, seat.prekey, seat.terminal.terminal_id)] for seat in self._seats]

    def seal(self, by: int, text: bytes) -> bytes:
        sealed = seal_text(self._seats[by], self._recipients[1 - by], text.decode())
        whole = encode_head(split_head(sealed.head, {self._seats[1 - by].terminal.terminal_id}))
        data = len(whole).to_bytes(4) + whole + sealed.envelope.body
        self.keep(by, sealed.cek, data)
        return data

    def open_(self, by: int, sealed: bytes) -> bytes | None:
        size = int.from_bytes(sealed[:4])
        opened = open_cable(decode_head(sealed[4 : 4 + size]), sealed[4 + size :], self._readers[by])
        text = "".join(opened.draft.paragraphs).encode()
        self.keep(by, b"", text)
        return text


def _seat(network: Network, post: str, with_release: bool) -> Seat:
    seat = network.add(post)
    return seat if with_release else replace(seat, officer_signer=_NoRelease(seat.officer_signer))


def rows() -> Iterator[Row]:
    text = real_text().encode()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        others: list[Peer] = [Ratchets(folder / "ratchets"), Olm(folder / "olm")]
        if has_libsignal():
            others.append(Libsignal(folder / "libsignal"))
            yield _without_release(folder, text)
        else:
            yield remark("libsignal: needs Node.js and `npm ci` in benchmarks/libsignal")
        ours = Sealing(folder / "ours")
        for other in others:
            yield _whole(ours, other, text)
        yield from _sizes([ours, *others], text)
        for one in (ours, *others):
            one.close()
        yield from _losses(folder / "plan")


def has_libsignal() -> bool:
    """Whether its package is installed, and what runs it."""
    return shutil.which("node") is not None and (Path(__file__).parent / "libsignal" / "node_modules").is_dir()


def _without_release(folder: Path, text: bytes) -> Row:
    ours = Sealing(folder / "unreleased", with_release=False, is_durable=False)
    theirs = Libsignal(folder / "undurable", is_durable=False)
    found = compare(lambda: ours.messages(MESSAGES, text), lambda: theirs.messages(MESSAGES, text), seconds=0.1)
    for one in (ours, theirs):
        one.close()
    name = "seal and open 1 KB, without release signature"
    return rate_row(name, theirs.name, found, items=MESSAGES, unit="messages/s", aim=FASTER)


def _whole(ours: Correspondence, other: Correspondence, text: bytes) -> Row:
    found = compare(lambda: ours.messages(MESSAGES, text), lambda: other.messages(MESSAGES, text), seconds=0.1)
    return rate_row("1 KB: seal, store, open, store", other.name, found, items=MESSAGES, unit="messages/s")


def _sizes(everybody: list[Correspondence], text: bytes) -> Iterator[Row]:
    """After some talk, so that nobody still carries what introduces him."""
    sizes = []
    for one in everybody:
        one.messages(4, text)
        sizes.append(len(one.seal(0, text)))
    for other, size in zip(everybody[1:], sizes[1:], strict=True):
        yield count_row("1 KB to one recipient", sizes[0], size, other.name)
        yield count_row("  each further recipient", WRAP_BYTES, size, other.name)


def _losses(folder: Path) -> Iterator[Row]:
    """The courier of this plan hands everything over in the end: what is lost, is lost to the reader for ever."""
    folder.mkdir()
    cables = Cables(folder / "cables")
    lost, sent = Plan(cables).run(cables.a_day_passes, cables.settle)
    cables.close()
    yield count_row(f"lost of {sent}: Dutabarta", lost, unit="messages")
    others: list[Peer] = [Ratchets(folder / "ratchets"), Olm(folder / "olm")]
    if has_libsignal():
        others.append(Libsignal(folder / "libsignal"))
    for other in others:
        lost, sent = Plan(other).run()
        other.close()
        yield count_row(f"lost of {sent}: {other.name}", lost, unit="messages")
