from __future__ import annotations

import pytest

from keys.public import PublicKey
from keys.purpose import Purpose
from ledger.block import is_record
from ledger.machine import LEDGER_MODULES, Machine
from ledger.preverify import KeyBook, Outcome, PrimedVerifier, Task, digest_of, verify_task
from ledger.rules import Rules
from protos.errors import VerificationFailed
from support.history import History, council, eventful


class Refusing:
    """Accepts nothing."""

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        raise VerificationFailed("bad-signature", f"was not checked ahead: {purpose}")


@pytest.fixture(scope="module")
def history() -> History:
    return eventful(council())


def tasks(history: History) -> list[Task]:
    book = KeyBook(Rules(LEDGER_MODULES))
    return [
        book.task(history.net.network_id, history.leaves[start : start + 5])
        for start in range(0, len(history.leaves), 5)
    ]


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
    for task in tasks(history):
        verifier.prime(verify_task(task))
    assert replayed(history, verifier).root == history.machine.root


def test_nothing_is_accepted_that_was_not_checked(history: History) -> None:
    with pytest.raises(VerificationFailed):
        replayed(history, PrimedVerifier(Refusing()))
    verifier = PrimedVerifier(Refusing())
    for task in tasks(history)[:-2]:
        verifier.prime(verify_task(task))
    with pytest.raises(VerificationFailed):
        replayed(history, verifier)


def test_a_check_is_accepted_once_and_for_exactly_what_it_was_about(history: History) -> None:
    key, other = (one.public_key for one in history.net.roots[:2])
    about = (key, Purpose.GOVERNANCE, bytes(32), b"payload", b"signature")
    different = [
        (other, *about[1:]),
        (key, Purpose.ENROLMENT, *about[2:]),
        (*about[:2], bytes(31) + b"\x01", *about[3:]),
        (*about[:3], b"payloae", b"signature"),
        (*about[:3], b"epayload", b"signatur"),
    ]
    assert len({digest_of(*one) for one in [about, *different]}) == 6
    verifier = PrimedVerifier(Refusing())
    verifier.prime(Outcome(b"", (digest_of(*about),)))
    for one in different:
        with pytest.raises(VerificationFailed):
            verifier.verify(*one)
    verifier.verify(*about)
    with pytest.raises(VerificationFailed):
        verifier.verify(*about)


def test_a_worker_says_what_does_not_hold(history: History) -> None:
    sound = tasks(history)[-1]
    broken = Task(sound.network_id, tuple(leaf[:-1] + b"\x00" for leaf in sound.leaves), sound.keys, ())
    assert set(verify_task(broken).holds) == {0}
    assert verify_task(Task(bytes(32), sound.leaves, sound.keys, ())).digests == ()
    assert verify_task(Task(sound.network_id, sound.leaves, {}, ())).digests == ()
