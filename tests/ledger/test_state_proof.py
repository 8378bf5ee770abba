from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.bodies import OfficerRevoked
from ledger.entry import encode_leaf
from ledger.machine import Machine
from ledger.network_policy import policy_of
from ledger.note import SignedNote
from ledger.policy import Policy
from ledger.records import Officer, Post
from ledger.state import officer_key, post_key, terminal_key
from ledger.state_proof import decode_state_proof, encode_state_proof, verify_state_proof, verify_state_proof_at
from ledger.wire import BlockRecord, StateProof
from protos.errors import DutabartaError, Unavailable
from support.network import OfficerKeys, TestNetwork


@pytest.fixture
def officer(net: TestNetwork, machine: Machine) -> OfficerKeys:
    return net.enrol_officer(machine, "DEL")


@pytest.fixture
def policy(machine: Machine) -> Policy:
    return policy_of(machine.state, machine.origin)


def test_presence_and_absence_are_proved(
    net: TestNetwork, machine: Machine, officer: OfficerKeys, policy: Policy
) -> None:
    keys = [officer_key(officer.officer_id), post_key("DEL"), terminal_key(bytes(32))]
    proof = encode_state_proof(machine.prove_state(keys, net.note(machine)))
    proven = verify_state_proof(proof, policy)
    assert proven.checkpoint.size == machine.size
    assert proven.record == BlockRecord(machine.time, (), machine.state.root)
    assert proven.read(keys[0], Officer) == machine.state.officer(officer.officer_id)
    assert proven.read(keys[1], Post) == machine.state.post("DEL")
    assert proven.read(keys[2], Post) is None
    assert set(proven.times) == {"DHA", "DEL", "LON", "WAS"}
    with pytest.raises(Unavailable) as caught:
        proven.get(post_key("LON"))
    assert caught.value.code == "not-proved"


def test_an_older_retained_size_is_proved(
    net: TestNetwork, machine: Machine, officer: OfficerKeys, policy: Policy
) -> None:
    note = net.note(machine)
    size = machine.size
    net.run(machine, net.batch(machine, "DEL"))
    proven = verify_state_proof(machine.prove_state([post_key("DEL")], note), policy)
    assert proven.checkpoint.size == size


def refused(proof: StateProof, policy: Policy, code: str) -> None:
    with pytest.raises(DutabartaError) as caught:
        verify_state_proof(proof, policy)
    assert caught.value.code == code


def test_a_hidden_revocation_is_caught(
    net: TestNetwork, machine: Machine, officer: OfficerKeys, policy: Policy
) -> None:
    """A lying node shows the officer's record from before under the newest checkpoint."""
    key = officer_key(officer.officer_id)
    before = machine.prove_state([key], net.note(machine))
    own, _ = net.approvers("DEL")
    net.run(machine, net.signed(machine, "officer-revoked", OfficerRevoked(officer.officer_id, 0), own))
    now = machine.prove_state([key], net.note(machine))
    revoked = verify_state_proof(now, policy).read(key, Officer)
    assert revoked is not None
    assert not revoked.is_active
    refused(replace(now, values=before.values), policy, "bad-map-proof")
    refused(replace(now, record=before.record), policy, "bad-inclusion-proof")
    refused(replace(now, record=before.record, path=before.path, values=before.values), policy, "bad-inclusion-proof")


def test_another_root_is_caught(net: TestNetwork, machine: Machine, officer: OfficerKeys, policy: Policy) -> None:
    """A lying node makes a log of its own from the same start."""
    fork = net.machine()
    net.run(fork, net.batch(fork, "DEL"))
    key = officer_key(officer.officer_id)
    assert fork.size == machine.size
    lie = fork.prove_state([key], net.note(fork, signers=["LON"]))
    refused(lie, policy, "no-quorum")
    refused(replace(lie, checkpoint=net.note(machine)), policy, "bad-inclusion-proof")
    truth = machine.prove_state([key], net.note(machine))
    refused(replace(truth, checkpoint=net.note(machine, root=fork.root, signers=["LON"])), policy, "no-quorum")


def test_an_absence_is_not_taken_for_another_key(
    net: TestNetwork, machine: Machine, officer: OfficerKeys, policy: Policy
) -> None:
    proof = machine.prove_state([terminal_key(bytes(32))], net.note(machine))
    hidden = replace(proof, values=(replace(proof.values[0], key=officer_key(officer.officer_id)),))
    refused(hidden, policy, "bad-map-proof")


def test_another_leaf_does_not_pass_for_the_block_record(
    net: TestNetwork, machine: Machine, officer: OfficerKeys, policy: Policy
) -> None:
    entry = net.batch(machine, "DEL")
    net.run(machine, entry)
    proof = machine.prove_state([post_key("DEL")], net.note(machine))
    path = machine.tree.inclusion(machine.size - 2, machine.size)
    refused(replace(proof, record=entry, path=path), policy, "not-a-record")
    own = encode_leaf(BlockRecord(machine.time, (), bytes(32)))
    refused(replace(proof, record=own), policy, "bad-inclusion-proof")


def test_a_key_answered_twice_is_refused(
    net: TestNetwork, machine: Machine, officer: OfficerKeys, policy: Policy
) -> None:
    proof = machine.prove_state([post_key("DEL"), post_key("DEL")], net.note(machine))
    refused(proof, policy, "repeated-key")


# --- after exactly so many leaves ------------------------------------------------------------------------------


def test_what_held_at_an_earlier_size_is_proved_under_a_newer_checkpoint(
    net: TestNetwork, machine: Machine, officer: OfficerKeys, policy: Policy
) -> None:
    size, key = machine.size, officer_key(officer.officer_id)
    net.run(machine, net.batch(machine, "DEL"))
    settled = machine.settled_at(size)
    own, _ = net.approvers("DEL")
    net.run(machine, net.signed(machine, "officer-revoked", OfficerRevoked(officer.officer_id, 0), own))
    proof = machine.prove_settled(settled, [key, post_key("XYZ")], net.note(machine))
    proven = verify_state_proof_at(encode_state_proof(proof), policy, size)
    assert (proven.size, proven.checkpoint.size) == (size, machine.size)
    then = proven.read(key, Officer)
    assert then is not None and then.is_active
    assert proven.get(post_key("XYZ")) is None


def test_an_earlier_state_does_not_pass_for_the_current_one(
    net: TestNetwork, machine: Machine, officer: OfficerKeys, policy: Policy
) -> None:
    settled = machine.settled_at(machine.size)
    net.run(machine, net.batch(machine, "DEL"))
    refused(machine.prove_settled(settled, [post_key("DEL")], net.note(machine)), policy, "not-current")


def test_the_state_at_another_size_than_asked_for_is_refused(
    net: TestNetwork, machine: Machine, officer: OfficerKeys, policy: Policy
) -> None:
    size = machine.size
    net.run(machine, net.batch(machine, "DEL"))
    proof = machine.prove_state([post_key("DEL")], net.note(machine))
    for index, code in ((proof.index, "wrong-size"), (size - 1, "bad-inclusion-proof")):
        with pytest.raises(DutabartaError) as caught:
            verify_state_proof_at(replace(proof, index=index), policy, size)
        assert caught.value.code == code


def test_a_checkpoint_that_does_not_cover_the_size_proves_nothing_there(
    net: TestNetwork, machine: Machine, officer: OfficerKeys, policy: Policy
) -> None:
    old = net.note(machine)
    net.run(machine, net.batch(machine, "DEL"))
    proof = machine.prove_state([post_key("DEL")], net.note(machine))
    with pytest.raises(DutabartaError):
        verify_state_proof_at(replace(proof, checkpoint=old), policy, machine.size)
    with pytest.raises(DutabartaError):
        machine.prove_settled(machine.settled_at(machine.size), [post_key("DEL")], old)


def test_every_flipped_bit_of_a_proof_at_an_earlier_size_is_refused(
    net: TestNetwork, machine: Machine, policy: Policy
) -> None:
    size, settled = machine.size, machine.settled_at(machine.size)
    net.run(machine, net.batch(machine, "DEL"))
    note = policy.minimal(SignedNote.decode(net.note(machine))).encode()
    data = encode_state_proof(machine.prove_settled(settled, [post_key("XYZ")], note))
    for position in [*range(0, len(data) * 8, 41), *range(len(data) * 8 - 16, len(data) * 8)]:
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(DutabartaError):
            verify_state_proof_at(bytes(changed), policy, size)


def test_every_flipped_bit_is_refused(net: TestNetwork, machine: Machine, policy: Policy) -> None:
    note = policy.minimal(SignedNote.decode(net.note(machine))).encode()
    proof = machine.prove_state([post_key("XYZ")], note)
    data = encode_state_proof(proof)
    for position in [*range(0, len(data) * 8, 41), *range(len(data) * 8 - 16, len(data) * 8)]:
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(DutabartaError):
            verify_state_proof(bytes(changed), policy)


def test_a_size_that_ends_no_block_is_not_proved(net: TestNetwork, machine: Machine) -> None:
    with pytest.raises(Unavailable):
        machine.prove_state([post_key("DEL")], net.note(machine, machine.size - 1))


def test_a_proof_round_trips(net: TestNetwork, machine: Machine) -> None:
    proof = machine.prove_state([post_key("DEL"), post_key("XYZ")], net.note(machine))
    assert decode_state_proof(encode_state_proof(proof)) == proof
