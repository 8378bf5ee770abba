"""The collecting side: lines become policy checkpoints."""

from __future__ import annotations

import pytest

from keys.possession import prove
from keys.public import SUITE_MLDSA44
from ledger.bodies import NodeKeyChanged
from ledger.checkpoint import Checkpoint, make_note, sign_checkpoint
from ledger.cosignature import cosign, cosigner_name
from ledger.network_policy import policy_of
from node import actions as act
from node.chain import Chain
from node.collect import MAX_OPEN, Collector
from node.splitview import SplitViews
from support.chains import append, chain_of, grow
from support.network import TestNetwork


@pytest.fixture
def chain(network: TestNetwork) -> Chain:
    return chain_of(network)


@pytest.fixture
def collector(chain: Chain) -> Collector:
    return Collector(chain, SplitViews())


def line(network: TestNetwork, chain: Chain, code: str, size: int, root: bytes) -> bytes:
    checkpoint = Checkpoint(chain.machine.origin, size, root)
    return cosign(network.posts[code].cosigner, cosigner_name(checkpoint.origin, code), checkpoint, 9).encode().encode()


def send(network: TestNetwork, chain: Chain, collector: Collector, code: str, size: int) -> list[act.Action]:
    root = chain.machine.tree.root(size)
    return collector.line_received(code, size, root, line(network, chain, code, size, root))


def test_the_note_is_made_when_its_policy_is_met(network: TestNetwork, chain: Chain, collector: Collector) -> None:
    size = chain.size
    assert collector.own_note(network.note(chain.machine, signers=("DHA",))) == []
    [saved] = send(network, chain, collector, "DEL", size)
    assert isinstance(saved, act.SaveCosignature), "durable before DEL gets its answer"
    _, note = send(network, chain, collector, "LON", size)
    assert isinstance(note, act.PolicyNote) and note.size == collector.policy_size == size
    verified = policy_of(chain.machine.state, chain.machine.origin).verify(note.note)
    assert verified.checkpoint == chain.checkpoint(size) and set(verified.times) == {"DHA", "DEL", "LON"}
    assert send(network, chain, collector, "WAS", size) == []


def test_lines_may_come_before_the_own_note(network: TestNetwork, chain: Chain, collector: Collector) -> None:
    for code in ("DEL", "LON"):
        assert len(send(network, chain, collector, code, chain.size)) == 1
    [note] = collector.own_note(network.note(chain.machine, signers=("DHA",)))
    assert isinstance(note, act.PolicyNote)


def test_a_line_is_only_its_own_posts(network: TestNetwork, chain: Chain, collector: Collector) -> None:
    root = chain.machine.root
    stolen = line(network, chain, "DEL", chain.size, root)
    assert collector.line_received("LON", chain.size, root, stolen) == [act.DropPeer("LON", "wrong-key")]
    assert collector.line_received("DEL", chain.size - 1, root, stolen) == [act.DropPeer("DEL", "bad-signature")]


def test_a_line_from_before_a_change_of_keys_is_taken_after_it_and_the_old_key_signs_nothing_newer(
    network: TestNetwork, chain: Chain, collector: Collector
) -> None:
    before, key = chain.size, network.fresh(SUITE_MLDSA44)
    change = network.governance(
        chain.machine, "node-key-changed", NodeKeyChanged("DEL", "cosigner", prove(key, "cosigner"))
    )
    after = append(network, chain, change).size
    [saved] = send(network, chain, collector, "DEL", before)
    assert isinstance(saved, act.SaveCosignature)
    assert send(network, chain, collector, "DEL", after) == [act.DropPeer("DEL", "wrong-key")]


def test_the_log_line_of_a_post_that_is_no_validator_at_that_size_makes_no_note(
    network: TestNetwork, chain: Chain, collector: Collector
) -> None:
    """A post that has become one since signs older checkpoints with its log key, too."""
    checkpoint = chain.checkpoint(chain.size)
    mine = cosign(network.posts["LON"].cosigner, cosigner_name(checkpoint.origin, "LON"), checkpoint, 9)
    own = make_note(checkpoint, sign_checkpoint(network.posts["LON"].log, checkpoint), mine)
    assert collector.own_note(own.encode()) == []
    for code in ("DHA", "DEL"):
        assert [type(one) for one in send(network, chain, collector, code, chain.size)] == [act.SaveCosignature]
    [note] = collector.own_note(network.note(chain.machine, signers=("DHA",)))
    assert isinstance(note, act.PolicyNote)


@pytest.mark.parametrize("data", [b"", b"\xff", b"x" * 9000, "— name AAAA\n".encode()])
def test_garbage_never_raises(chain: Chain, collector: Collector, data: bytes) -> None:
    [action] = collector.line_received("DEL", chain.size, bytes(32), data)
    assert isinstance(action, act.DropPeer)


def test_another_root_is_evidence(network: TestNetwork, chain: Chain, collector: Collector) -> None:
    actions = collector.line_received("LON", chain.size, bytes(32), line(network, chain, "LON", chain.size, bytes(32)))
    assert [type(one) for one in actions] == [act.KeepEvidence, act.Alarm]


def test_sizes_that_are_no_block_end_or_not_here_are_ignored(
    network: TestNetwork, chain: Chain, collector: Collector
) -> None:
    assert send(network, chain, collector, "DEL", chain.size - 1) == []
    ahead = line(network, chain, "DEL", 999, bytes(32))
    assert collector.line_received("DEL", 999, bytes(32), ahead) == []


def test_what_is_open_is_bounded(network: TestNetwork, chain: Chain, collector: Collector) -> None:
    sizes = [grow(network, chain).size for _ in range(MAX_OPEN + 3)]
    for size in sizes:
        send(network, chain, collector, "DEL", size)
    assert len(collector._open) == MAX_OPEN and min(collector._open) == sizes[3]
