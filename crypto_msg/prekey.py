"""Prekey bundles, and the ledger Module that says which one is current (docs/protocol/prekey.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from crypto_msg.hints import SYNCHRONISE
from crypto_msg.wire import CODEC, Bundle, Prekey, SignedBundle
from keys.prekey import KEM_ID, seal
from keys.public import SUITE_ED25519, PublicKey
from keys.purpose import Purpose
from keys.signing import Signer, Verifier
from ledger.module import Authority, Context, Signatory
from ledger.records import Officer, Terminal
from ledger.state import State
from ledger.wire import Signature
from protos.codec import Codec
from protos.errors import Refused, VerificationFailed

MAX_SIGNED_BUNDLE = 5120
HASH_BYTES = 32

_ASK_HEADQUARTERS = "Do not seal to it; tell headquarters. The terminal gets the cable with its next prekey."


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A bundle whose signatures hold and that the ledger proves current: what a cable may be wrapped to."""

    terminal_id: bytes
    epoch: int
    public_key: bytes
    bundle_hash: bytes


def make_bundle(bundle: Bundle, officer: Signer, terminal: Signer) -> bytes:
    """The canonical SignedBundle, 4.8 kB, signed by the terminal's officer and by the terminal itself."""
    data = CODEC.encode(bundle)
    signed = SignedBundle(
        data,
        _sign(officer, Purpose.BUNDLE, bundle.network_id, data),
        _sign(terminal, Purpose.BUNDLE_TERMINAL, bundle.network_id, data),
    )
    return CODEC.encode(signed)


def bundle_for(network_id: bytes, terminal_id: bytes, epoch: int, public_key: bytes) -> Bundle:
    """The unsigned bundle of an X-Wing public key (1,216 bytes)."""
    return Bundle(network_id, terminal_id, epoch, KEM_ID, public_key)


def bundle_hash(signed_bundle: bytes) -> bytes:
    """SHA-256 of the canonical SignedBundle: what the ledger holds."""
    return sha256(signed_bundle).digest()


def verify_bundle(
    data: bytes, network_id: bytes, recorded: Prekey, terminal: Terminal, officer: Officer, verifier: Verifier
) -> VerifiedBundle:
    """Check a bundle that came from anybody against the records at S, which come with map proofs.

    Raises `Malformed` (also "prekey-malformed"), or `VerificationFailed`: "other-bundle" (old, withheld or swapped),
    "bad-bundle" (it says another network, terminal, epoch or KEM), "bad-signature".
    """
    if bundle_hash(data) != recorded.bundle_hash:
        hint = "Ask another post for it: this one is old, or was swapped."
        raise VerificationFailed("other-bundle", "this is not the bundle that the ledger names", hint=hint)
    signed = CODEC.decode(SignedBundle, data, limit=MAX_SIGNED_BUNDLE)
    bundle = CODEC.decode(Bundle, signed.bundle, limit=MAX_SIGNED_BUNDLE)
    if bundle != bundle_for(network_id, terminal.terminal_id, recorded.epoch, bundle.public_key):
        raise VerificationFailed(
            "bad-bundle", "the bundle is for another network, terminal, epoch or KEM", hint=_ASK_HEADQUARTERS
        )
    if recorded.terminal_id != terminal.terminal_id or terminal.officer_id != officer.officer_id:
        raise VerificationFailed(
            "bad-bundle", "the records belong to different terminals or officers", hint=SYNCHRONISE
        )
    terminal_key = PublicKey(SUITE_ED25519, terminal.key)
    _verify(signed.terminal, terminal_key, Purpose.BUNDLE_TERMINAL, network_id, signed.bundle, verifier)
    _verify(signed.officer, officer.key, Purpose.BUNDLE, network_id, signed.bundle, verifier)
    seal(bundle.public_key, b"", b"")  # one terminal's unusable key must not stop a cable to many
    return VerifiedBundle(terminal.terminal_id, bundle.epoch, bundle.public_key, bundle_hash(data))


def prekey_key(terminal_id: bytes) -> bytes:
    """Where a terminal's current bundle hash stands in the state map."""
    return b"prekey/" + terminal_id.hex().encode()


def current_prekey(state: State, terminal_id: bytes) -> Prekey | None:
    """The newest bundle that a terminal has entered, or None."""
    return state.read(prekey_key(terminal_id), Prekey, CODEC)


class PrekeyModule:
    """Entry kind "prekey": a terminal names its next bundle. Signed by the terminal, purpose entry."""

    name = "prekey"
    kinds: Mapping[str, type[Any]] = {"prekey": Prekey}
    codec: Codec = CODEC

    def check(self, context: Context) -> Authority:
        """Raises `Refused`: as `State.active_terminal`, "bad-prekey", "wrong-epoch"."""
        body: Prekey = context.body
        terminal = context.state.active_terminal(body.terminal_id)
        if len(body.bundle_hash) != HASH_BYTES:
            raise Refused("bad-prekey", "a bundle hash has 32 bytes", hint="Publish the prekey again.")
        last = current_prekey(context.state, body.terminal_id)
        expected = 1 if last is None else last.epoch + 1
        if body.epoch != expected:
            hint = "The terminal was restored from a backup, or is cloned: synchronise and publish again."
            text = f"the terminal's next epoch is {expected}, not {body.epoch}"
            raise Refused("wrong-epoch", text, hint=hint, expected=expected, epoch=body.epoch)
        return Authority(Signatory(PublicKey(SUITE_ED25519, terminal.key), Purpose.ENTRY))

    def apply(self, context: Context) -> None:
        """The bundle becomes the terminal's current one."""
        context.state.write(prekey_key(context.body.terminal_id), context.body, CODEC)


def _sign(signer: Signer, purpose: Purpose, network_id: bytes, data: bytes) -> Signature:
    return Signature(signer.public_key.key_id, signer.sign(purpose, network_id, data))


def _verify(
    signature: Signature | None, key: PublicKey, purpose: Purpose, network_id: bytes, data: bytes, verifier: Verifier
) -> None:
    if signature is None or signature.key_id != key.key_id:
        raise VerificationFailed(
            "bad-bundle", f"the {purpose} signature is not by the key on the ledger", hint=_ASK_HEADQUARTERS
        )
    verifier.verify(key, purpose, network_id, data, signature.signature)
