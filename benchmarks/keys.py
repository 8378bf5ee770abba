"""Signatures and prekeys through our API, against the bare library calls on the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair

from benchmarks.harness import Row, compare, time_row
from keys.prekey import Prekey, seal
from keys.public import SUITE_DUAL, SUITE_ED25519
from keys.purpose import Purpose, preimage
from keys.signing import DirectVerifier, SoftwareSigner

NETWORK = b"N" * 32
PAYLOAD = b"p" * 1024
VERIFIER = DirectVerifier()


def rows() -> Iterator[Row]:
    yield from _ed25519()
    yield from _dual()
    yield from _prekey()


def _ed25519() -> Iterator[Row]:
    signer = SoftwareSigner.generate(SUITE_ED25519)
    key = signer.public_key
    signature = signer.sign(Purpose.ENTRY, NETWORK, PAYLOAD)
    message = preimage(Purpose.ENTRY, NETWORK, key.key_id, PAYLOAD)
    _, secret = crypto_sign_seed_keypair(signer.secret)
    found = compare(lambda: signer.sign(Purpose.ENTRY, NETWORK, PAYLOAD), lambda: crypto_sign(message, secret))
    yield time_row("sign, Ed25519", "libsodium", found)
    found = compare(
        lambda: VERIFIER.verify(key, Purpose.ENTRY, NETWORK, PAYLOAD, signature),
        lambda: crypto_sign_open(signature + message, key.key),
    )
    yield time_row("verify, Ed25519", "libsodium", found)


def _dual() -> Iterator[Row]:
    signer = SoftwareSigner.generate(SUITE_DUAL)
    key = signer.public_key
    signature = signer.sign(Purpose.RELEASE, NETWORK, PAYLOAD)
    message = preimage(Purpose.RELEASE, NETWORK, key.key_id, PAYLOAD)
    _, secret = crypto_sign_seed_keypair(signer.secret[:32])
    mldsa = MLDSA65PrivateKey.from_seed_bytes(signer.secret[32:])
    mldsa_public = mldsa.public_key()
    found = compare(
        lambda: signer.sign(Purpose.RELEASE, NETWORK, PAYLOAD),
        lambda: (crypto_sign(message, secret), mldsa.sign(message)),
        seconds=0.1,
    )
    yield time_row("sign, Ed25519 + ML-DSA-65", "libsodium, OpenSSL", found)
    found = compare(
        lambda: VERIFIER.verify(key, Purpose.RELEASE, NETWORK, PAYLOAD, signature),
        lambda: (
            crypto_sign_open(signature[:64] + message, key.key[:32]),
            mldsa_public.verify(signature[64:], message),
        ),
    )
    yield time_row("verify, Ed25519 + ML-DSA-65", "libsodium, OpenSSL", found)


def _prekey() -> Iterator[Row]:
    prekey = Prekey.generate()
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)

    def bare() -> bytes:
        mlkem = MLKEM768PublicKey.from_public_bytes(prekey.public_key[:1184])
        x25519 = X25519PublicKey.from_public_bytes(prekey.public_key[1184:])
        return suite.encrypt(b"k" * 40, hpke.MLKEM768X25519PublicKey(mlkem, x25519), info=NETWORK)

    found = compare(lambda: seal(prekey.public_key, b"k" * 40, NETWORK), bare)
    yield time_row("seal 40 bytes to a prekey", "HPKE of OpenSSL, from key bytes", found)
