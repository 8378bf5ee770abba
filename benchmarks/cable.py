"""Sealing and opening a 1 KB cable, against the HPKE, AES-GCM and signature calls that it cannot do without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair

from benchmarks.harness import Row, compare, time_row
from crypto_msg.cable import Addressee, Classification, Draft, Precedence
from crypto_msg.envelope import decode_head, encode_head
from crypto_msg.opening import OpenedCable, Reader, open_cable
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.seal import Message, Release, Sealed, Station, seal_cable
from crypto_msg.signatures import sign_draft
from crypto_msg.wire import encode_draft
from crypto_msg.wraps import Recipient, split_head
from keys.prekey import Prekey
from keys.public import SUITE_DUAL, SUITE_ED25519
from keys.purpose import Purpose
from keys.signing import DirectVerifier, Signer, SoftwareSigner
from ledger.records import Officer, Post, Shift, Terminal
from ledger.roles import Clearance, Role

NETWORK_ID = sha256(b"benchmark").digest()
SIZE = 100
AIM = 1.25
CIRCULAR_TERMINALS, CIRCULAR_MS = 243, 100.0
HOME, AWAY = "DHA", "DEL"
TEXT = "The delegation arrives on Monday and asks for a meeting before noon. " * 15


@dataclass(frozen=True, slots=True)
class Seat:
    """An officer of a post and his terminal, with their secrets."""

    officer: Officer
    terminal: Terminal
    officer_signer: Signer
    terminal_signer: SoftwareSigner
    prekey: Prekey
    bundle_hash: bytes


@dataclass(frozen=True, slots=True)
class Network:
    """Two posts and the seats that the cable concerns; a View of the state at S."""

    seats: list[Seat] = field(default_factory=list)

    def add(self, post: str) -> Seat:
        officer_signer, terminal_signer = SoftwareSigner.generate(SUITE_DUAL), SoftwareSigner.generate(SUITE_ED25519)
        roles = (int(Role.DRAFTER), int(Role.RELEASER))
        key = officer_signer.public_key
        officer = Officer(token_bytes(16), post, key, roles, Clearance.SECRET, b"", False, 0, 0, 1)
        own = terminal_signer.public_key
        terminal = Terminal(own.key_id, own.key, officer.officer_id, post, b"", 1, 0, "")
        seat = Seat(officer, terminal, officer_signer, terminal_signer, Prekey.generate(), token_bytes(32))
        self.seats.append(seat)
        return seat

    def posts(self) -> tuple[Post, ...]:
        return ()

    def post(self, code: str) -> Post | None:
        return Post(code, code == HOME, False, "", b"", b"", b"", b"", b"", b"", 0, 1, 0)

    def terminal(self, terminal_id: bytes) -> Terminal | None:
        return next((one.terminal for one in self.seats if one.terminal.terminal_id == terminal_id), None)

    def officer(self, officer_id: bytes) -> Officer | None:
        return next((one.officer for one in self.seats if one.officer.officer_id == officer_id), None)

    def officer_of_key(self, key_id: bytes) -> Officer | None:
        return next((one.officer for one in self.seats if one.officer.key.key_id == key_id), None)

    def shift(self, code: str) -> Shift | None:
        return None


def rows() -> Iterator[Row]:
    network = Network()
    sender, reader = network.add(HOME), network.add(AWAY)
    prekeys = [reader.prekey, *(Prekey.generate() for _ in range(242))]
    for count in (1, 81, CIRCULAR_TERMINALS):
        recipients = [recipient_of(reader, reader.prekey, reader.terminal.terminal_id)]
        recipients += [recipient_of(reader, prekey, sha256(prekey.seed).digest()) for prekey in prekeys[1:count]]
        yield from _rows_for(network, sender, reader, recipients)


def recipient_of(reader: Seat, prekey: Prekey, terminal_id: bytes) -> Recipient:
    """A terminal to wrap to, with a prekey of its own."""
    return Recipient(terminal_id, VerifiedBundle(terminal_id, 1, prekey.public_key, reader.bundle_hash), True, 1)


def _rows_for(network: Network, sender: Seat, reader: Seat, recipients: list[Recipient]) -> Iterator[Row]:
    def seal() -> Sealed:
        return seal_text(sender, recipients, TEXT)

    sealed = seal()
    head = encode_head(split_head(sealed.head, {reader.terminal.terminal_id}))
    prekeys = {reader.bundle_hash: reader.prekey}
    view = Reader(NETWORK_ID, reader.terminal.terminal_id, prekeys, network, DirectVerifier())

    def open_it() -> OpenedCable:
        return open_cable(decode_head(head), sealed.envelope.body, view)

    bare_seal, bare_open = _bare(sender, reader, recipients, len(sealed.envelope.body))
    count = len(recipients)
    terminals = "1 terminal" if count == 1 else f"{count} terminals"
    found = compare(lambda: (seal(), open_it()), lambda: (bare_seal(), bare_open()), seconds=0.15)
    yield time_row(f"seal to {terminals} and open", "HPKE, AES-GCM, signatures", found, unit="ms", aim=AIM)
    if count == CIRCULAR_TERMINALS:
        sealing = compare(seal, bare_seal, seconds=0.15).ours * 1000
        name = f"seal a circular to {count} terminals"
        yield Row(name, sealing, CIRCULAR_MS, "ms", "the aim", sealing / CIRCULAR_MS, 1.0)
    found = compare(open_it, bare_open, seconds=0.03)
    yield time_row(f"open one of {count}", "HPKE, AES-GCM, signatures", found, unit="ms")


def seal_text(sender: Seat, recipients: list[Recipient], text: str, drafter: Seat | None = None) -> Sealed:
    """A cable of one paragraph; without a `drafter`, its releaser has drafted it."""
    post = sender.terminal.post
    draft = Draft(
        token_bytes(16),
        post,
        (Addressee(AWAY if post == HOME else HOME, Precedence.ROUTINE),),
        (),
        Precedence.ROUTINE,
        Classification.RESTRICTED,
        (),
        "Visit",
        (),
        (),
        (text,),
        (),
        (),
    )
    station = Station(NETWORK_ID, post, sender.terminal_signer, SIZE)
    release = Release(1, 2026, "231430ZNOV26", ())
    drafted = [sign_draft(encode_draft(draft), Purpose.DRAFT, NETWORK_ID, drafter.officer_signer)] if drafter else []
    return seal_cable(station, Message(draft, ()), release, drafted, sender.officer_signer, recipients, token_bytes)


def _bare(
    sender: Seat, reader: Seat, recipients: list[Recipient], body_bytes: int
) -> tuple[Callable[[], object], Callable[[], object]]:
    """The library calls alone: a dual and a single signature, AES-GCM over the body, HPKE for each recipient."""
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    public_keys = [one.bundle.public_key for one in recipients if one.bundle is not None]
    mldsa = MLDSA65PrivateKey.generate()
    mldsa_public = mldsa.public_key()
    public, secret = crypto_sign_seed_keypair(sender.terminal_signer.secret)
    cipher, plain, message, info = AESGCM(token_bytes(32)), bytes(body_bytes - 16), bytes(160), bytes(145)
    nonce, seed = bytes(12), reader.prekey.seed

    def encapsulate(key: bytes) -> bytes:
        mlkem, x25519 = MLKEM768PublicKey.from_public_bytes(key[:1184]), X25519PublicKey.from_public_bytes(key[1184:])
        return suite.encrypt(bytes(40), hpke.MLKEM768X25519PublicKey(mlkem, x25519), info=info)

    def sign() -> tuple[bytes, bytes, bytes]:
        return crypto_sign(message, secret), mldsa.sign(message), crypto_sign(message, secret)

    def seal() -> object:
        return sign(), cipher.encrypt(nonce, plain, info), [encapsulate(key) for key in public_keys]

    signed, signature, _ = sign()
    sealed, wrap = cipher.encrypt(nonce, plain, info), encapsulate(public_keys[0])
    private = Prekey.from_seed(seed)

    def open_it() -> object:
        crypto_sign_open(signed, public)
        crypto_sign_open(signed, public)
        mldsa_public.verify(signature, message)
        return private.open(wrap, info), cipher.decrypt(nonce, sealed, info)

    return seal, open_it
