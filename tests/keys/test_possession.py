from __future__ import annotations

from itertools import permutations

import pytest

from keys.possession import ROLES, ProvenKey, check_proven, prove
from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44, PublicKey
from keys.signing import DirectVerifier, SoftwareSigner
from protos.errors import Malformed, VerificationFailed

VERIFIER = DirectVerifier()


@pytest.mark.parametrize("suite", [SUITE_ED25519, SUITE_DUAL, SUITE_MLDSA44])
@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_proof_holds_for_its_role(suite: int, role: str, signers: dict[int, SoftwareSigner]) -> None:
    check_proven(prove(signers[suite], role), role, suite, VERIFIER)


@pytest.mark.parametrize(("proved", "asked"), sorted(permutations(ROLES, 2)))
def test_a_proof_for_one_role_is_none_for_another(proved: str, asked: str, signers: dict[int, SoftwareSigner]) -> None:
    with pytest.raises(VerificationFailed) as caught:
        check_proven(prove(signers[SUITE_ED25519], proved), asked, SUITE_ED25519, VERIFIER)
    assert caught.value.code == "bad-signature"


def test_a_key_of_another_suite_is_refused(signers: dict[int, SoftwareSigner]) -> None:
    with pytest.raises(VerificationFailed) as caught:
        check_proven(prove(signers[SUITE_ED25519], "officer"), "officer", SUITE_DUAL, VERIFIER)
    assert caught.value.code == "wrong-suite"


def test_a_proof_of_somebody_elses_key_is_refused(signers: dict[int, SoftwareSigner]) -> None:
    stolen = ProvenKey(SoftwareSigner.generate(SUITE_DUAL).public_key, prove(signers[SUITE_DUAL], "root").possession)
    with pytest.raises(VerificationFailed):
        check_proven(stolen, "root", SUITE_DUAL, VERIFIER)


def test_a_bad_key_is_refused_before_its_proof() -> None:
    with pytest.raises(Malformed) as caught:
        check_proven(ProvenKey(PublicKey(SUITE_ED25519, bytes(32)), bytes(64)), "entry", SUITE_ED25519, VERIFIER)
    assert caught.value.code == "key-point"


def test_an_unknown_role_is_refused(signers: dict[int, SoftwareSigner]) -> None:
    with pytest.raises(Malformed):
        prove(signers[SUITE_ED25519], "ambassador")
    with pytest.raises(Malformed):
        check_proven(prove(signers[SUITE_ED25519], "entry"), "ambassador", SUITE_ED25519, VERIFIER)
