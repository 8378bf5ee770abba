"""The solo sequencer."""

from __future__ import annotations

import pytest

from ledger.merkle import leaf_hash
from node import sequence
from node.chain import Chain
from node.sequence import ACCEPTED, PENDING, UNKNOWN, Solo
from support.chains import MemoryLog, chain_of, log_of
from support.network import TestNetwork

NOW = 1_760_000_000


@pytest.fixture
def chain(network: TestNetwork) -> Chain:
    return chain_of(network)


@pytest.fixture
def solo(chain: Chain) -> Solo:
    return Solo(chain, log_of(chain).index_of)


def test_an_entry_is_pending_until_its_block_is_committed(network: TestNetwork, chain: Chain, solo: Solo) -> None:
    leaf, before = network.batch(chain.machine, "DEL"), chain.size
    assert solo.submit(leaf, NOW).code == PENDING
    [block] = solo.tick(NOW)
    assert (block.start, block.leaves[0], block.time) == (before, leaf, NOW)
    assert chain.size == before, "nothing shows before the shell has stored the block"
    assert solo.outcome(leaf_hash(leaf)).code == PENDING
    log_of(chain).stored.extend(block.leaves)
    solo.committed()
    assert (chain.size, chain.machine.root) == (block.size, block.root)
    assert (solo.submit(leaf, NOW).code, solo.submit(leaf, NOW).index) == (ACCEPTED, before)


def test_a_crash_before_the_commit_leaves_no_trace(network: TestNetwork, chain: Chain, solo: Solo) -> None:
    root = chain.machine.root
    solo.submit(network.batch(chain.machine, "DEL"), NOW)
    assert solo.tick(NOW)
    assert chain.machine.root == root
    assert Solo(chain, MemoryLog().index_of).tick(NOW) == []


def test_the_same_bytes_count_once(network: TestNetwork, chain: Chain, solo: Solo) -> None:
    leaf = network.batch(chain.machine, "DEL")
    for _ in range(3):
        assert solo.submit(leaf, NOW).code == PENDING
    [block] = solo.tick(NOW)
    assert len(block.leaves) == 2


def test_at_most_one_block_each_interval(network: TestNetwork, chain: Chain, solo: Solo) -> None:
    solo.submit(network.batch(chain.machine, "DEL"), NOW)
    [block] = solo.tick(NOW)
    assert solo.tick(NOW + 5) == [], "the last block is not stored yet"
    log_of(chain).stored.extend(block.leaves)
    solo.committed()
    solo.submit(network.batch(chain.machine, "LON"), NOW)
    assert solo.tick(NOW) == []
    assert len(solo.tick(NOW + 1)) == 1


def test_a_block_is_bounded_in_bytes_too(
    network: TestNetwork, chain: Chain, solo: Solo, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (network.batch(chain.machine, code) for code in ("DEL", "LON", "WAS"))
    monkeypatch.setattr(sequence, "MAX_BLOCK_BYTES", len(first) + len(second))
    for leaf in (first, second, third):
        assert solo.submit(leaf, NOW).code == PENDING
    [block] = solo.tick(NOW)
    assert block.leaves[:-1] == (first, second)
    log_of(chain).stored.extend(block.leaves)
    solo.committed()
    [block] = solo.tick(NOW + 1)
    assert block.leaves[:-1] == (third,)


def test_an_idle_network_makes_no_blocks(solo: Solo) -> None:
    assert [solo.tick(NOW + at) for at in range(5)] == [[]] * 5


def test_block_time_never_goes_back(network: TestNetwork, chain: Chain, solo: Solo) -> None:
    solo.submit(network.batch(chain.machine, "DEL"), 0)
    [block] = solo.tick(5)
    assert block.time == chain.machine.time


def test_refusals_have_their_names(network: TestNetwork, chain: Chain, solo: Solo) -> None:
    assert solo.submit(bytes(40_000), NOW).code == "entry-too-large"
    garbage = b"\x01garbage"
    assert solo.submit(garbage, NOW).code == solo.outcome(leaf_hash(garbage)).code == "malformed"
    late = network.batch(chain.machine, "DEL", ahead=1)
    assert solo.submit(late, NOW).code == "wrong-sequence"
    assert solo.outcome(bytes(32)).code == UNKNOWN


def test_of_two_entries_with_one_number_the_first_stands(network: TestNetwork, chain: Chain, solo: Solo) -> None:
    one, other = network.batch(chain.machine, "DEL"), network.batch(chain.machine, "DEL")
    assert solo.submit(one, NOW).code == solo.submit(other, NOW).code == PENDING
    [block] = solo.tick(NOW)
    assert one in block.leaves and other not in block.leaves
    log_of(chain).stored.extend(block.leaves)
    solo.committed()
    assert solo.outcome(leaf_hash(other)).code == "wrong-sequence"


def test_the_pool_is_bounded(network: TestNetwork, chain: Chain, solo: Solo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence, "MAX_POOL_ENTRIES", 1)
    solo.submit(network.batch(chain.machine, "DEL"), NOW)
    leaf = network.batch(chain.machine, "LON")
    assert solo.submit(leaf, NOW).code == "busy"
    [block] = solo.tick(NOW)
    log_of(chain).stored.extend(block.leaves)
    solo.committed()
    assert solo.submit(leaf, NOW).code == PENDING
