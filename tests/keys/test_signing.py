from __future__ import annotations

import pickle
from hashlib import sha512
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.algorithms import SECRET_BYTES, SecretKey
from keys.public import SIGNATURE_BYTES, SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44, PublicKey
from keys.purpose import SUITE_OF, Purpose, preimage
from keys.signing import (
    CachingVerifier,
    DirectVerifier,
    SoftwareSigner,
    VerifiedBefore,
    Verifier,
    verify_many,
    verify_note,
)
from protos.errors import DutabartaError, Malformed, Refused, VerificationFailed

NETWORK = b"N" * 32
PURPOSE = {SUITE_ED25519: Purpose.ENTRY, SUITE_DUAL: Purpose.RELEASE, SUITE_MLDSA44: Purpose.POSSESSION}
ORDER = 2**252 + 27742317777372353535851937790883648493


class Job(NamedTuple):
    """A `Check` with names."""

    key: PublicKey
    purpose: Purpose
    network_id: bytes
    payload: bytes
    signature: bytes


class Counting:
    """A DirectVerifier that counts."""

    def __init__(self) -> None:
        self.checks = 0

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        self.checks += 1
        DirectVerifier().verify(key, purpose, network_id, payload, signature)


def refusal(verifier: Verifier, job: Job) -> str:
    with pytest.raises(VerificationFailed) as caught:
        verifier.verify(*job)
    return caught.value.code


@pytest.fixture(scope="module")
def jobs(signers: dict[int, SoftwareSigner]) -> dict[int, Job]:
    return {
        suite: Job(
            signer.public_key, PURPOSE[suite], NETWORK, b"payload", signer.sign(PURPOSE[suite], NETWORK, b"payload")
        )
        for suite, signer in signers.items()
    }


def test_every_purpose_but_possession_demands_a_suite() -> None:
    assert set(Purpose) - set(SUITE_OF) == {Purpose.POSSESSION}


def test_the_preimage_is_written_out() -> None:
    expected = b"dutabarta/v1/co-release\x00" + NETWORK + b"K" * 32 + sha512(b"payload").digest()
    assert preimage(Purpose.CO_RELEASE, NETWORK, b"K" * 32, b"payload") == expected


@given(network=st.binary(max_size=40), key_id=st.binary(max_size=40))
def test_a_preimage_with_ids_of_another_length_is_refused(network: bytes, key_id: bytes) -> None:
    if len(network) == len(key_id) == 32:
        return
    with pytest.raises(Malformed):
        preimage(Purpose.ENTRY, network, key_id, b"")


@pytest.mark.parametrize("suite", SIGNATURE_BYTES)
def test_a_signature_holds_and_has_its_suites_length(suite: int, jobs: dict[int, Job]) -> None:
    job = jobs[suite]
    assert len(job.signature) == SIGNATURE_BYTES[suite]
    DirectVerifier().verify(*job)


@pytest.mark.parametrize("suite", SIGNATURE_BYTES)
def test_another_context_is_refused(suite: int, jobs: dict[int, Job]) -> None:
    job = jobs[suite]
    changed = [
        job._replace(key=SoftwareSigner.generate(suite).public_key),
        job._replace(network_id=b"M" * 32),
        job._replace(payload=job.payload + b"\x00"),
    ]
    changed += [job._replace(purpose=p) for p in Purpose if p != job.purpose and SUITE_OF.get(p, suite) == suite]
    assert verify_many(changed) == [False] * len(changed)
    assert {refusal(DirectVerifier(), one) for one in changed} == {"bad-signature"}


@pytest.mark.parametrize("suite", [SUITE_ED25519, SUITE_DUAL, SUITE_MLDSA44])
def test_a_purpose_of_another_suite_is_refused_on_both_sides(suite: int, jobs: dict[int, Job]) -> None:
    for purpose in SUITE_OF:
        if SUITE_OF[purpose] == suite:
            continue
        with pytest.raises(Refused) as caught:
            SoftwareSigner.generate(suite).sign(purpose, NETWORK, b"")
        assert caught.value.code == "wrong-suite"
        job = Job(jobs[suite].key, purpose, NETWORK, b"", jobs[suite].signature)
        assert refusal(DirectVerifier(), job) == "wrong-suite"
        assert refusal(CachingVerifier(DirectVerifier(), 4), job) == "wrong-suite"


def test_both_halves_of_a_dual_signature_must_hold(jobs: dict[int, Job], signers: dict[int, SoftwareSigner]) -> None:
    job = jobs[SUITE_DUAL]
    other = signers[SUITE_DUAL].sign(job.purpose, NETWORK, b"another payload")
    for mixed in (other[:64] + job.signature[64:], job.signature[:64] + other[64:]):
        assert refusal(DirectVerifier(), job._replace(signature=mixed)) == "bad-signature"
    for part in (job.signature[:64], job.signature[64:], job.signature + b"\x00", b"", job.signature + job.signature):
        assert refusal(DirectVerifier(), job._replace(signature=part)) == "signature-length"


@pytest.mark.parametrize("suite", SIGNATURE_BYTES)
@given(data=st.data())
def test_a_flipped_bit_is_refused(suite: int, jobs: dict[int, Job], data: st.DataObject) -> None:
    job = jobs[suite]
    bit = data.draw(st.integers(0, 8 * len(job.signature) - 1))
    flipped = bytearray(job.signature)
    flipped[bit // 8] ^= 1 << bit % 8
    assert refusal(DirectVerifier(), job._replace(signature=bytes(flipped))) == "bad-signature"


def test_a_signature_with_s_beyond_the_order_is_refused(jobs: dict[int, Job]) -> None:
    job = jobs[SUITE_ED25519]
    larger = int.from_bytes(job.signature[32:], "little") + ORDER
    malleated = job.signature[:32] + larger.to_bytes(32, "little")
    assert refusal(DirectVerifier(), job._replace(signature=malleated)) == "bad-signature"


def test_a_small_order_r_is_refused(jobs: dict[int, Job]) -> None:
    job = jobs[SUITE_ED25519]
    neutral = (1).to_bytes(32, "little")
    assert refusal(DirectVerifier(), job._replace(signature=neutral + bytes(32))) == "bad-signature"


def test_a_small_order_key_verifies_nothing() -> None:
    neutral = (1).to_bytes(32, "little")
    job = Job(PublicKey(SUITE_ED25519, neutral), Purpose.ENTRY, NETWORK, b"", neutral + bytes(32))
    assert refusal(DirectVerifier(), job) == "bad-key"


@given(suite=st.integers(0, 2**32), key=st.binary(max_size=80), signature=st.binary(max_size=80))
def test_garbage_is_refused_by_name(suite: int, key: bytes, signature: bytes) -> None:
    for purpose in Purpose:
        assert refusal(DirectVerifier(), Job(PublicKey(suite, key), purpose, NETWORK, b"", signature))


def test_the_cache_pays_once_and_stays_bounded(signers: dict[int, SoftwareSigner]) -> None:
    signer, counting = signers[SUITE_ED25519], Counting()
    caching = CachingVerifier(counting, 2)
    signatures = {text: signer.sign(Purpose.ENTRY, NETWORK, text) for text in (b"a", b"b", b"c")}

    def check(text: bytes) -> int:
        caching.verify(signer.public_key, Purpose.ENTRY, NETWORK, text, signatures[text])
        return counting.checks

    assert [check(text) for text in (b"a", b"a", b"b", b"a", b"c", b"a", b"b")] == [1, 1, 2, 2, 3, 3, 4]


def test_the_cache_never_remembers_a_failure_as_a_success(jobs: dict[int, Job]) -> None:
    good = jobs[SUITE_ED25519]
    caching = CachingVerifier(DirectVerifier(), 8)
    caching.verify(good.key, good.purpose, NETWORK, good.payload, good.signature)
    bad = good._replace(payload=b"another")
    assert [refusal(caching, bad) for _ in range(2)] == ["bad-signature"] * 2


def test_verified_before_accepts_without_looking(jobs: dict[int, Job]) -> None:
    VerifiedBefore().verify(jobs[SUITE_DUAL].key, Purpose.ENTRY, NETWORK, b"", b"")


def test_jobs_travel_to_other_processes(jobs: dict[int, Job]) -> None:
    good = [pickle.loads(pickle.dumps(job)) for job in jobs.values()]
    bad = good[0]._replace(payload=b"changed")
    assert verify_many([*good, bad]) == [True, True, True, False]


def test_a_note_is_signed_as_it_is(signers: dict[int, SoftwareSigner]) -> None:
    for suite in (SUITE_ED25519, SUITE_MLDSA44):
        signature = signers[suite].sign_note(b"origin\n1\nroot\n")
        verify_note(signers[suite].public_key, b"origin\n1\nroot\n", signature)
        with pytest.raises(VerificationFailed):
            verify_note(signers[suite].public_key, b"origin\n2\nroot\n", signature)


def test_no_note_can_be_a_preimage(jobs: dict[int, Job], signers: dict[int, SoftwareSigner]) -> None:
    job = jobs[SUITE_ED25519]
    message = preimage(job.purpose, NETWORK, job.key.key_id, job.payload)
    with pytest.raises(Refused):
        signers[SUITE_ED25519].sign_note(message)
    with pytest.raises(Refused):
        signers[SUITE_DUAL].sign_note(b"origin\n1\nroot\n")
    with pytest.raises(VerificationFailed):
        verify_note(job.key, message, job.signature)


@pytest.mark.parametrize("suite", SIGNATURE_BYTES)
def test_a_secret_round_trips_and_never_shows(suite: int) -> None:
    signer = SoftwareSigner.generate(suite)
    again = SoftwareSigner.from_secret(suite, signer.secret)
    assert again.public_key == signer.public_key
    assert len(signer.secret) == SECRET_BYTES[suite]
    for shown in (repr(signer), str(signer), f"{signer!r}", repr(SecretKey(suite, signer.secret))):
        assert signer.secret.hex()[:16] not in shown
        assert repr(signer.secret)[2:-1][:8] not in shown


@pytest.mark.parametrize("suite", [0, 1, 2, 3, 4])
def test_a_secret_of_another_length_or_suite_is_refused(suite: int) -> None:
    with pytest.raises(DutabartaError) as caught:
        SoftwareSigner.from_secret(suite, bytes(SECRET_BYTES.get(suite, 32) + (suite in SECRET_BYTES)))
    assert caught.value.code == "secret-length"


def test_an_unknown_suite_generates_nothing() -> None:
    with pytest.raises(Malformed):
        SoftwareSigner.generate(9)
