from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import pytest

from keys.public import PublicKey
from keys.purpose import Purpose
from keys.signing import Check, verify_many
from ledger.block import is_record
from ledger.entry import MAX_SIGNATURES, make_leaf
from ledger.machine import LEDGER_MODULES, Machine
from ledger.preverify import Asked, KeyBook, PrimedVerifier
from ledger.rules import Rules
from ledger.wire import MAX_LEAF_BYTES, Signature
from protos.errors import VerificationFailed
from support.history import History, council, eventful


class Refusing:
    """Accepts nothing."""

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        raise VerificationFailed("bad-signature", f"was not checked ahead: {purpose}")


@pytest.fixture(scope="module")
def history() -> History:
    return eventful(council())


def asked(history: History, leaves: Sequence[bytes]) -> list[Asked]:
    book = KeyBook(Rules(LEDGER_MODULES))
    return [book.asked(history.net.network_id, leaf) for leaf in leaves]


def held(history: History, leaves: Sequence[bytes]) -> list[Check]:
    """The checks that these leaves ask for and that hold."""
    checks = [check for one in asked(history, leaves) for check in (*(one.signatures or ()), *one.proofs)]
    return list(compress(checks, verify_many(checks)))


def replayed(history: History, verifier: PrimedVerifier) -> Machine:
    machine, block = None, []
    for leaf in history.leaves:
        block.append(leaf)
        if is_record(leaf):
            if machine is None:
                machine = Machine.found(block, (), verifier)
            else:
                machine.replay_block(block)
            block = []
    assert machine is not None
    return machine


def test_every_signature_and_possession_of_a_log_is_checked_ahead(history: History) -> None:
    verifier = PrimedVerifier(Refusing())
    verifier.prime(held(history, history.leaves))
    assert replayed(history, verifier).root == history.machine.root


def test_nothing_is_accepted_that_was_not_checked(history: History) -> None:
    with pytest.raises(VerificationFailed):
        replayed(history, PrimedVerifier(Refusing()))
    verifier = PrimedVerifier(Refusing())
    verifier.prime(held(history, history.leaves)[:-1])
    with pytest.raises(VerificationFailed):
        replayed(history, verifier)


def test_a_check_is_accepted_once_and_for_exactly_what_it_was_about(history: History) -> None:
    key, other = (one.public_key for one in history.net.roots[:2])
    about = (key, Purpose.GOVERNANCE, bytes(32), b"payload", b"signature")
    different = [
        (other, *about[1:]),
        (PublicKey(key.suite + 1, key.key), *about[1:]),
        (key, Purpose.ENROLMENT, *about[2:]),
        (*about[:2], bytes(31) + b"\x01", *about[3:]),
        (*about[:3], b"payloae", b"signature"),
        (*about[:3], b"payloads", b"ignature"),
    ]
    verifier = PrimedVerifier(Refusing())
    verifier.prime([about])
    for one in different:
        with pytest.raises(VerificationFailed):
            verifier.verify(*one)
    verifier.verify(*about)
    with pytest.raises(VerificationFailed):
        verifier.verify(*about)


def test_a_leaf_whose_signatures_cannot_all_be_checked_is_told_apart(history: History) -> None:
    batch = next(leaf for leaf in reversed(history.leaves) if b"batch" in leaf)
    assert asked(history, [batch]) == [Asked(None, [])], "its key was not shown yet"
    many = make_leaf(b"\x0a\x05batch", [Signature(bytes([at]) * 32, b"") for at in range(MAX_SIGNATURES + 1)])
    garbage = b"\x01\xff"
    long = b"\x01" + bytes(MAX_LEAF_BYTES)
    assert asked(history, [*history.leaves, many, garbage, long])[-3:] == [Asked(None, [])] * 3
    assert asked(history, [b"", b"\x02", b"\x07", b"\x00"]) == [Asked([], [])] * 4


def test_a_changed_signature_does_not_hold(history: History) -> None:
    leaves = [*history.leaves[:-2], history.leaves[-2][:-1] + bytes([history.leaves[-2][-1] ^ 1])]
    *_, last = asked(history, leaves)
    assert last.signatures
    assert verify_many(last.signatures)[-1] is False
