"""Slots: batches, own entries, proofs."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from ledger.bodies import Batch
from ledger.entry import decode_entry_leaf
from ledger.network_policy import policy_of
from ledger.parameters import EXERCISE_PARAMETERS
from ledger.proof import TlogProof, verify_item
from ledger.wire import CODEC
from node import actions as act
from node.actions import Item
from node.anchor import SUBMIT_AGAIN_SECONDS, OpenBatch, Slots
from node.chain import Chain
from protos.errors import DutabartaError
from support.chains import chain_of, log_of
from support.network import TestNetwork

NOW = 1_760_000_000
SLOT = EXERCISE_PARAMETERS.slot_seconds


@pytest.fixture
def chain(network: TestNetwork) -> Chain:
    return chain_of(network)


def slots_of(network: TestNetwork, chain: Chain, **known: object) -> Slots:
    random = Random(5).randbytes
    return Slots(chain, "DEL", network.posts["DEL"].entry, random, index_of=log_of(chain).index_of, **known)  # type: ignore[arg-type]


def item(number: int, kind: str = "cable") -> Item:
    return Item(kind, number.to_bytes(32, "big"), bytes(32))


def close(slots: Slots, now: int = NOW) -> act.SaveBatch:
    slots.tick(now)
    saved, submitted = slots.tick(now + SLOT)
    assert isinstance(saved, act.SaveBatch) and submitted == act.SubmitEntry(saved.leaf)
    return saved


def settle(network: TestNetwork, chain: Chain, slots: Slots, leaf: bytes) -> list[act.Action]:
    start = chain.size
    result = network.run(chain.machine, leaf)
    log_of(chain).stored.extend(result.leaves)
    return slots.appended(start, result.leaves)


def body_of(batch: act.SaveBatch) -> Batch:
    return CODEC.decode(Batch, decode_entry_leaf(batch.leaf).entry.payload, limit=1000)


def test_a_slot_becomes_one_filled_batch(network: TestNetwork, chain: Chain) -> None:
    slots = slots_of(network, chain)
    for number in range(3):
        slots.add(item(number))
    slots.add(item(2))
    assert slots.tick(NOW) == [], "the slot has just begun"
    batch = close(slots)
    assert len(batch.hashes) == body_of(batch).count == 64 and len(set(batch.hashes)) == 64
    assert sorted(one.item_hash[-1] for one in batch.items.values()) == [0, 1, 2]
    assert sorted(batch.items) != [0, 1, 2], "the places are random"
    assert chain.machine.check(batch.leaf) == "accepted"


@pytest.mark.parametrize(("items", "count"), [(64, 64), (65, 256), (257, 1024), (1030, 1024)])
def test_counts_are_three(network: TestNetwork, chain: Chain, items: int, count: int) -> None:
    slots = slots_of(network, chain, waiting=[item(number) for number in range(items)])
    batch = close(slots)
    assert (len(batch.hashes), len(batch.items)) == (count, min(items, count))


def test_an_empty_slot_sends_nothing_unless_slots_are_filled(network: TestNetwork, chain: Chain) -> None:
    slots = slots_of(network, chain)
    assert [slots.tick(NOW + at) for at in range(3 * SLOT)] == [[]] * 3 * SLOT
    filled = TestNetwork.make(("DHA", "DEL"), seed=7, parameters=replace(EXERCISE_PARAMETERS, filled_slots=True))
    assert close(slots_of(filled, chain_of(filled))).items == {}


def test_one_entry_at_a_time_and_the_same_bytes_again(network: TestNetwork, chain: Chain) -> None:
    slots = slots_of(network, chain)
    slots.add(item(1))
    batch = close(slots)
    slots.add(item(2))
    later = NOW + 10 * SLOT
    assert slots.tick(later) == [act.SubmitEntry(batch.leaf)]
    assert slots.tick(later + 1) == []
    assert slots.tick(later + SUBMIT_AGAIN_SECONDS) == [act.SubmitEntry(batch.leaf)]
    assert settle(network, chain, slots, batch.leaf) == [act.BatchSettled(1, chain.size - 2)]
    second, _ = slots.tick(later + 2 * SLOT)
    assert isinstance(second, act.SaveBatch) and second.sequence == 2


def test_every_item_gets_a_proof_that_verifies(network: TestNetwork, chain: Chain) -> None:
    slots = slots_of(network, chain)
    items = [item(1), item(2, "receipt")]
    for one in items:
        slots.add(one)
    batch = close(slots)
    before = network.note(chain.machine)
    settle(network, chain, slots, batch.leaf)
    assert slots.policy_note(batch_index(chain, batch), before) == [], "the checkpoint does not cover it"
    note = network.note(chain.machine, signers=("DHA", "DEL", "LON"))
    [saved] = slots.policy_note(chain.size, note)
    assert isinstance(saved, act.SaveProofs) and set(saved.proofs) == {one.item_hash for one in items}
    policy = policy_of(chain.machine.state, chain.machine.origin)
    for one in items:
        proof = TlogProof.decode(saved.proofs[one.item_hash])
        verified = verify_item(proof, one.item_hash, network.network_id, policy)
        assert (verified.post, verified.kind) == ("DEL", one.kind)
        with pytest.raises(DutabartaError):
            verify_item(proof, bytes(32), network.network_id, policy)
    assert slots.policy_note(chain.size, note) == []


def batch_index(chain: Chain, batch: act.SaveBatch) -> int:
    return log_of(chain).stored.index(batch.leaf)


def test_a_restart_submits_the_same_bytes(network: TestNetwork, chain: Chain) -> None:
    slots = slots_of(network, chain)
    slots.add(item(1))
    batch = close(slots)
    again = slots_of(network, chain, batches=[OpenBatch(batch)])
    assert again.tick(NOW + 2 * SLOT) == [act.SubmitEntry(batch.leaf)]


def test_a_crash_between_block_and_note_of_it_is_healed(network: TestNetwork, chain: Chain) -> None:
    slots = slots_of(network, chain)
    slots.add(item(1))
    batch = close(slots)
    settle(network, chain, slots_of(network, chain), batch.leaf)
    again = slots_of(network, chain, batches=[OpenBatch(batch)])
    assert again.tick(NOW + 2 * SLOT) == []
    assert len(again.policy_note(chain.size, network.note(chain.machine, signers=("DHA", "DEL", "LON")))) == 1


def test_blocks_that_are_given_up_settle_nothing(network: TestNetwork, chain: Chain) -> None:
    slots = slots_of(network, chain)
    slots.add(item(1))
    batch, size = close(slots), chain.size
    settle(network, chain, slots, batch.leaf)
    slots.truncated(size)
    assert slots.tick(NOW + 9 * SLOT) == [act.SubmitEntry(batch.leaf)]


def test_another_entry_under_a_used_number_halts_and_is_kept(network: TestNetwork, chain: Chain) -> None:
    slots = slots_of(network, chain)
    slots.add(item(1))
    close(slots)
    clone = network.batch(chain.machine, "DEL")
    evidence, alarm = settle(network, chain, slots, clone)
    assert evidence == act.KeepEvidence("DEL", "clone", clone) and isinstance(alarm, act.Alarm)
    assert slots.is_halted and slots.tick(NOW + 9 * SLOT) == []


def test_a_batch_that_this_node_did_not_make_is_alarmed(network: TestNetwork, chain: Chain) -> None:
    slots = slots_of(network, chain)
    actions = settle(network, chain, slots, network.batch(chain.machine, "DEL"))
    assert [type(one) for one in actions] == [act.KeepEvidence, act.Alarm]


def test_a_rebuilt_node_reads_its_old_batches_without_alarm(network: TestNetwork, chain: Chain) -> None:
    slots = slots_of(network, chain)
    slots.adopt_sequence(1)
    slots.add(item(1))
    slots.tick(NOW)
    assert slots.tick(NOW + SLOT) == [], "its log is behind what its key has signed"
    assert settle(network, chain, slots, network.batch(chain.machine, "DEL")) == []
    saved, _ = slots.tick(NOW + 2 * SLOT)
    assert isinstance(saved, act.SaveBatch) and saved.sequence == 2


def test_a_refusal_is_shown_and_the_entry_kept(network: TestNetwork, chain: Chain) -> None:
    slots = slots_of(network, chain)
    slots.add(item(1))
    batch = close(slots)
    assert slots.answered(batch.leaf, "pending", "") == slots.answered(b"other", "retired-post", "") == []
    [alarm] = slots.answered(batch.leaf, "retired-post", "the post is retired")
    assert isinstance(alarm, act.Alarm) and alarm.code == "entry-refused"
    assert slots.tick(NOW + 9 * SLOT) == [act.SubmitEntry(batch.leaf)]
