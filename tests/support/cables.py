"""A small network in memory for tests of cables: posts, officers, terminals, prekeys, and the view of them at S."""

from __future__ import annotations

import random as pseudo
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from crypto_msg.cable import Addressee, Attachment, Classification, Draft, Precedence
from crypto_msg.opening import Reader
from crypto_msg.prekey import VerifiedBundle, bundle_for, bundle_hash, make_bundle
from crypto_msg.rules import expand, is_reader
from crypto_msg.seal import Message, Release, Sealed, Station, seal_cable
from crypto_msg.signatures import DraftSignature, sign_draft
from crypto_msg.wire import encode_draft
from crypto_msg.wraps import Random, Recipient
from keys.prekey import Prekey
from keys.public import SUITE_DUAL, SUITE_ED25519
from keys.purpose import Purpose
from keys.signing import DirectVerifier, SoftwareSigner
from ledger.records import Officer, Post, Shift, Terminal
from ledger.roles import Clearance, Role

NETWORK_ID = sha256(b"a network for tests of cables").digest()
SIZE = 1000
BOTH = (Role.DRAFTER, Role.RELEASER)


@dataclass
class Seat:
    """One officer with one terminal, with everything secret that they hold."""

    officer: Officer
    terminal: Terminal
    officer_signer: SoftwareSigner
    terminal_signer: SoftwareSigner
    prekey: Prekey
    bundle: VerifiedBundle

    @property
    def key_id(self) -> bytes:
        return self.officer.key.key_id

    def sign(self, draft: Draft, purpose: Purpose = Purpose.DRAFT) -> DraftSignature:
        return sign_draft(encode_draft(draft), purpose, NETWORK_ID, self.officer_signer)


@dataclass
class World:
    """Everybody by name. It is a View: what it shows is the state at S."""

    seats: dict[str, Seat] = field(default_factory=dict)
    codes: dict[str, Post] = field(default_factory=dict)
    shifts: dict[str, Shift] = field(default_factory=dict)
    randomness: pseudo.Random = field(default_factory=lambda: pseudo.Random(82))

    def random(self, size: int) -> bytes:
        return self.randomness.randbytes(size)

    def add_post(self, code: str, *, headquarters: bool = False) -> None:
        empty = b""
        self.codes[code] = Post(
            code, headquarters, False, "node.example:1", empty, empty, empty, empty, empty, empty, 0, 1, 0
        )

    def add(
        self, name: str, post: str, roles: Sequence[Role] = BOTH, clearance: Clearance = Clearance.TOP_SECRET
    ) -> Seat:
        officer_signer = SoftwareSigner.from_secret(SUITE_DUAL, self.random(64))
        terminal_signer = SoftwareSigner.from_secret(SUITE_ED25519, self.random(32))
        key, terminal_key = officer_signer.public_key, terminal_signer.public_key
        officer = Officer(self.random(16), post, key, tuple(roles), clearance, b"", False, 0, 0, 10)
        terminal = Terminal(terminal_key.key_id, terminal_key.key, officer.officer_id, post, b"", 11, 0, "")
        prekey = Prekey.from_seed(self.random(32))
        signed = make_bundle(
            bundle_for(NETWORK_ID, terminal.terminal_id, 1, prekey.public_key), officer_signer, terminal_signer
        )
        bundle = VerifiedBundle(terminal.terminal_id, 1, prekey.public_key, bundle_hash(signed))
        self.seats[name] = Seat(officer, terminal, officer_signer, terminal_signer, prekey, bundle)
        return self.seats[name]

    def change(self, name: str, **changes: object) -> None:
        """Change an officer's record."""
        self.seats[name].officer = replace(self.seats[name].officer, **changes)  # type: ignore[arg-type]

    def posts(self) -> tuple[Post, ...]:
        return tuple(self.codes.values())

    def post(self, code: str) -> Post | None:
        return self.codes.get(code)

    def terminal(self, terminal_id: bytes) -> Terminal | None:
        return next((one.terminal for one in self.seats.values() if one.terminal.terminal_id == terminal_id), None)

    def officer(self, officer_id: bytes) -> Officer | None:
        return next((one.officer for one in self.seats.values() if one.officer.officer_id == officer_id), None)

    def officer_of_key(self, key_id: bytes) -> Officer | None:
        found = next((one.officer for one in self.seats.values() if one.key_id == key_id), None)
        return found if found is not None and found.is_active else None

    def shift(self, code: str) -> Shift | None:
        return self.shifts.get(code)

    def recipients(self, posts: Sequence[str], classification: int) -> list[Recipient]:
        terminals = [one for one in self.seats.values() if one.terminal.post in posts]
        return [
            Recipient(one.terminal.terminal_id, one.bundle, cleared, 1 if cleared else 0)
            for one in terminals
            for cleared in [is_reader(self, one.terminal, classification)]
        ]

    def station(self, name: str) -> Station:
        seat = self.seats[name]
        return Station(NETWORK_ID, seat.terminal.post, seat.terminal_signer, SIZE)

    def reader(self, name: str) -> Reader:
        seat = self.seats[name]
        prekeys = {seat.bundle.bundle_hash: seat.prekey}
        return Reader(NETWORK_ID, seat.terminal.terminal_id, prekeys, self, DirectVerifier())

    def seal(
        self,
        draft: Draft,
        releaser: str,
        signatures: Sequence[DraftSignature] = (),
        attachments: tuple[bytes, ...] = (),
        random: Random | None = None,
        recipients: Sequence[Recipient] | None = None,
    ) -> Sealed:
        """Seal at the releaser's terminal, to every terminal of every addressed post."""
        names = [one.name for one in (*draft.action, *draft.info)]
        expansions = expand(names, tuple(self.codes.values()))
        posts = {draft.post, *names, *(code for one in expansions for code in one.posts)}
        return seal_cable(
            self.station(releaser),
            Message(draft, attachments, expires_at=2_000_000_000),
            Release(1, 2026, "231430ZNOV26", expansions),
            signatures,
            self.seats[releaser].officer_signer,
            self.recipients(sorted(posts), draft.classification) if recipients is None else recipients,
            random or self.random,
        )


def small_world() -> World:
    """HQ with two officers and a supervisor without other roles; DEL with two; LON with one, cleared to RESTRICTED."""
    world = World()
    world.add_post("DHA", headquarters=True)
    world.add_post("DEL")
    world.add_post("LON")
    world.add("dha1", "DHA")
    world.add("dha2", "DHA")
    world.add("dha3", "DHA", (Role.SUPERVISOR,))
    world.add("del1", "DEL")
    world.add("del2", "DEL", (Role.DRAFTER,))
    world.add("lon1", "LON", BOTH, Clearance.RESTRICTED)
    return world


def attach(name: str, data: bytes, media_type: str = "application/octet-stream") -> Attachment:
    return Attachment(name, media_type, len(data), sha256(data).digest())


def plain_draft(**changes: object) -> Draft:
    """A ROUTINE, RESTRICTED cable from DHA to DEL."""
    draft = Draft(
        cable_id=bytes(range(16)),
        post="DHA",
        action=(Addressee("DEL", Precedence.ROUTINE),),
        info=(),
        precedence=Precedence.ROUTINE,
        classification=Classification.RESTRICTED,
        caveats=(),
        subject="Visit",
        tags=(),
        references=(),
        paragraphs=("The delegation arrives on Sunday.",),
        attachments=(),
        relations=(),
    )
    return replace(draft, **changes)  # type: ignore[arg-type]
