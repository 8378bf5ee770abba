"""A signer whose Ed25519 half is elsewhere signs as one whose secret is here."""

from __future__ import annotations

import pytest
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from keys.public import SUITE_DUAL, SUITE_ED25519
from keys.purpose import Purpose
from keys.signing import DirectVerifier, SoftwareSigner
from keys.split import SplitSigner
from protos.errors import Malformed, Refused, VerificationFailed

NETWORK = b"N" * 32
SEED, MLDSA_SEED = b"e" * 32, b"m" * 32


class Half:
    """What a token does, in memory; `spoil` is what a failing one answers instead."""

    def __init__(self, seed: bytes, spoil: bytes | None = None) -> None:
        self.public_key, self._secret = crypto_sign_seed_keypair(seed)
        self._spoil = spoil

    def sign(self, message: bytes) -> bytes:
        return crypto_sign(message, self._secret)[:64] if self._spoil is None else self._spoil


def test_it_has_the_key_that_the_same_seeds_have_in_memory() -> None:
    for suite, seeds in ((SUITE_ED25519, (SEED,)), (SUITE_DUAL, (SEED, MLDSA_SEED))):
        split, whole = SplitSigner(Half(SEED), *seeds[1:]), SoftwareSigner.from_secret(suite, b"".join(seeds))
        assert split.public_key == whole.public_key


@pytest.mark.parametrize(("purpose", "seeds"), [(Purpose.RECEIPT, ()), (Purpose.RELEASE, (MLDSA_SEED,))])
def test_what_it_signs_holds(purpose: Purpose, seeds: tuple[bytes, ...]) -> None:
    signer = SplitSigner(Half(SEED), *seeds)
    signature = signer.sign(purpose, NETWORK, b"payload")
    DirectVerifier().verify(signer.public_key, purpose, NETWORK, b"payload", signature)


def test_a_purpose_of_another_suite_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        SplitSigner(Half(SEED)).sign(Purpose.RELEASE, NETWORK, b"payload")
    assert caught.value.code == "wrong-suite"


@pytest.mark.parametrize("spoil", [b"", bytes(64), bytes(63), b"x" * 65, b"x" * 64])
def test_what_a_failing_token_answers_never_goes_out(spoil: bytes) -> None:
    for seeds in ((), (MLDSA_SEED,)):
        signer = SplitSigner(Half(SEED, spoil), *seeds)
        purpose = Purpose.RELEASE if seeds else Purpose.RECEIPT
        with pytest.raises(VerificationFailed) as caught:
            signer.sign(purpose, NETWORK, b"payload")
        assert caught.value.code == "token-signature"


def test_a_token_that_hashes_first_is_refused() -> None:
    """Ed25519ph over the same key is another signature (RFC 8032, section 5.1)."""
    from hashlib import sha512

    class Prehashing(Half):
        def sign(self, message: bytes) -> bytes:
            return super().sign(sha512(message).digest())

    with pytest.raises(VerificationFailed) as caught:
        SplitSigner(Prehashing(SEED)).sign(Purpose.RECEIPT, NETWORK, b"payload")
    assert caught.value.code == "token-signature"


@pytest.mark.parametrize(("public_key", "seed"), [(bytes(32), b""), (b"x" * 31, b""), (None, b"m" * 31)])
def test_what_is_no_key_is_refused(public_key: bytes | None, seed: bytes) -> None:
    half = Half(SEED)
    half.public_key = half.public_key if public_key is None else public_key
    with pytest.raises(Malformed):
        SplitSigner(half, seed)


def test_its_representation_shows_no_seed() -> None:
    shown = repr(SplitSigner(Half(SEED), MLDSA_SEED))
    assert repr(MLDSA_SEED) not in shown and MLDSA_SEED.hex() not in shown
