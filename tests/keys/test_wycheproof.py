"""Project Wycheproof's vectors against what we expose (tests/vectors/README.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from keys import algorithms
from keys.algorithms import SecretKey
from keys.prekey import Prekey, seal
from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44, PublicKey, check_key
from protos.errors import Malformed, VerificationFailed

Vectors = Callable[[str], Any]


def holds(key: PublicKey, message: bytes, signature: bytes) -> bool:
    try:
        algorithms.verify(key, message, signature)
    except VerificationFailed:
        return False
    return True


def test_ed25519_verification(vectors: Vectors) -> None:
    for group in vectors("wycheproof/ed25519_verify")["groups"]:
        key = PublicKey(SUITE_ED25519, bytes.fromhex(group["key"]))
        check_key(key)
        for case in group["tests"]:
            answer = holds(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert answer == (case["result"] == "valid"), case


def test_mldsa44_verification(vectors: Vectors) -> None:
    for group in vectors("wycheproof/mldsa_44_verify")["groups"]:
        key = PublicKey(SUITE_MLDSA44, bytes.fromhex(group["key"]))
        for case in group["tests"]:
            answer = holds(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert answer == (case["result"] == "valid" and not case.get("ctx")), case["tcId"]


def test_mldsa65_verification_as_the_second_half_of_a_dual_signature(vectors: Vectors) -> None:
    ed25519 = SecretKey(SUITE_ED25519, bytes(range(32)))
    for group in vectors("wycheproof/mldsa_65_verify")["groups"]:
        key = PublicKey(SUITE_DUAL, ed25519.public_key.key + bytes.fromhex(group["key"]))
        for case in group["tests"]:
            message = bytes.fromhex(case["msg"])
            answer = holds(key, message, ed25519.sign(message) + bytes.fromhex(case["sig"]))
            assert answer == (case["result"] == "valid" and not case.get("ctx")), case["tcId"]


@pytest.mark.parametrize(("name", "suite"), [("mldsa_44_sign", SUITE_MLDSA44), ("mldsa_65_sign", SUITE_DUAL)])
def test_mldsa_seeds_give_their_keys(vectors: Vectors, name: str, suite: int) -> None:
    ed25519_seed = b"" if suite == SUITE_MLDSA44 else bytes(range(32))
    for group in vectors(f"wycheproof/{name}")["groups"]:
        secret = SecretKey(suite, ed25519_seed + bytes.fromhex(group["seed"]))
        assert secret.public_key.key[len(ed25519_seed) :].hex() == group["key"]
        for case in group["tests"]:
            message = bytes.fromhex(case["msg"])
            ed25519_half = secret.sign(message)[: 2 * len(ed25519_seed)]
            assert holds(secret.public_key, message, ed25519_half + bytes.fromhex(case["sig"])), case["tcId"]


def test_mlkem768_decapsulation(vectors: Vectors) -> None:
    for case in vectors("wycheproof/mlkem_768_decapsulate")["groups"][0]["tests"]:
        try:
            key = MLKEM768PrivateKey.from_seed_bytes(bytes.fromhex(case["seed"]))
            answer = key.decapsulate(bytes.fromhex(case["c"])).hex() == case["K"]
        except ValueError:
            answer = False
        assert answer == (case["result"] == "valid"), case["tcId"]


def test_mlkem768_keys_that_are_none_are_refused_by_seal(vectors: Vectors) -> None:
    x25519 = Prekey.from_seed(bytes(32)).public_key[1184:]
    for case in vectors("wycheproof/mlkem_768_encapsulate")["groups"][0]["tests"]:
        assert case["result"] == "invalid"
        with pytest.raises(Malformed):
            seal(bytes.fromhex(case["ek"]) + x25519, b"", b"")


def test_x25519_exchange(vectors: Vectors) -> None:
    for case in vectors("wycheproof/x25519")["groups"][0]["tests"]:
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["private"]))
        public = X25519PublicKey.from_public_bytes(bytes.fromhex(case["public"]))
        if "ZeroSharedSecret" in case["flags"]:
            with pytest.raises(ValueError):
                private.exchange(public)
        else:
            assert private.exchange(public).hex() == case["shared"], case["tcId"]
