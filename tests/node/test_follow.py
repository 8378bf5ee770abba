"""The follower: blocks from peers, finality, evidence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.bodies import ValidatorsChanged
from node import actions as act
from node.chain import Chain
from node.follow import ASK_AGAIN_SECONDS, Follower
from node.modules import MODULES
from node.splitview import SplitViews
from support.chains import chain_of, grow, log_of
from support.network import TestNetwork

NOW = 1_760_000_000


class Post:
    """A follower with its chain; `run` stores what it appends."""

    def __init__(self, network: TestNetwork) -> None:
        self.chain = chain_of(network)
        self.follower = Follower(self.chain, SplitViews(), self.chain.size)
        self.done: list[act.Action] = []

    def run(self, actions: list[act.Action]) -> list[act.Action]:
        for action in actions:
            self.done.append(action)
            if isinstance(action, act.Append):
                log_of(self.chain).stored.extend(action.leaves)
                self.run(self.follower.appended(NOW))
        return actions

    def block(self, block: act.Append, peer: str = "DHA") -> list[act.Action]:
        return self.run(self.follower.block_received(peer, block.start, block.leaves, NOW))

    def note(self, note: bytes, peer: str = "DHA") -> list[act.Action]:
        return self.run(self.follower.note_received(peer, note, NOW))


@pytest.fixture
def source(network: TestNetwork) -> Chain:
    return chain_of(network)


@pytest.fixture
def post(network: TestNetwork) -> Post:
    return Post(network)


@pytest.fixture
def four(request: pytest.FixtureRequest) -> Iterator[TestNetwork]:
    yield TestNetwork.make(("DHA", "DEL", "LON", "WAS"), seed=7, validators=("DEL", "DHA", "LON", "WAS"))


def extend(network: TestNetwork, chain: Chain, leaf: bytes) -> act.Append:
    """Append a block with this entry."""
    machine, start = chain.machine.fork(), chain.size
    result = network.run(machine, leaf)
    log_of(chain).stored.extend(result.leaves)
    chain.machine = machine
    return act.Append(start, result.leaves, result.size, result.root, machine.time)


def names(actions: list[act.Action]) -> list[str]:
    return [type(one).__name__ for one in actions]


def test_a_block_shows_only_when_it_is_stored(network: TestNetwork, source: Chain, post: Post) -> None:
    block, before = grow(network, source), post.chain.size
    actions = post.follower.block_received("DHA", block.start, block.leaves, NOW)
    assert names(actions) == ["Append"] and post.chain.size == before
    post.run(actions)
    assert post.chain.machine.root == source.machine.root


def test_a_block_that_comes_again_changes_nothing(network: TestNetwork, source: Chain, post: Post) -> None:
    block = grow(network, source)
    post.block(block)
    assert post.block(block) == []


def test_a_gap_is_asked_for_once(network: TestNetwork, source: Chain, post: Post) -> None:
    first, second = grow(network, source), grow(network, source)
    assert post.block(second) == [act.FetchBlocks("DHA", first.start, second.start)]
    assert post.block(second) == []
    post.block(first)
    post.block(second)
    assert post.chain.size == source.size


def test_a_bad_block_changes_nothing(network: TestNetwork, source: Chain, post: Post) -> None:
    block, root = grow(network, source), post.chain.machine.root
    spoilt = (block.leaves[0][:-1] + bytes([block.leaves[0][-1] ^ 1]), *block.leaves[1:])
    actions = post.run(post.follower.block_received("DEL", block.start, spoilt, NOW))
    assert names(actions) == ["Alarm", "DropPeer"] and post.chain.machine.root == root
    assert names(post.block(block)) == ["Append"], "another peer's is taken"


@pytest.mark.parametrize("leaves", [(), (b"",), (b"\x02",), (b"\xff" * 9,)])
def test_garbage_never_raises(post: Post, leaves: tuple[bytes, ...]) -> None:
    post.run(post.follower.block_received("DEL", post.chain.size, leaves, NOW))
    post.note(b"garbage")
    assert "Append" not in names(post.done)


def test_the_sequencers_cosignature_makes_final(network: TestNetwork, source: Chain, post: Post) -> None:
    block = grow(network, source)
    post.block(block)
    others = network.note(source.machine, signers=("DEL", "LON", "WAS"))
    assert names(post.note(others)) == [] and post.follower.final < block.size
    note = network.note(source.machine, signers=("DHA",))
    assert post.note(note) == [act.Final(block.size, note)]
    assert post.note(note) == []


def test_more_than_two_thirds_of_the_validators_make_final(four: TestNetwork) -> None:
    source, post = chain_of(four), Post(four)
    first, second = grow(four, source), grow(four, source)
    post.block(first)
    post.block(second)
    assert post.note(four.note(source.machine, first.size, signers=("DHA",))) == []
    assert post.note(four.note(source.machine, second.size, signers=("DEL",))) == []
    note = four.note(source.machine, second.size, signers=("WAS",))
    assert post.note(note) == [act.Final(first.size, note)], "a larger size counts for the smaller one"


def test_finality_passes_on_when_a_third_of_the_validators_leaves_at_once() -> None:
    codes = ("DHA", "DEL", "LON", "NYC", "PAR", "ROM", "TYO", "WAS")
    network = TestNetwork.make(codes, seed=8, validators=sorted(codes[:6]))
    source, post = chain_of(network), Post(network)
    after = tuple(sorted({*codes[:4], "TYO", "WAS"}))
    change = network.governance(source.machine, "validators-changed", ValidatorsChanged(after))
    post.block(extend(network, source, change))
    post.block(grow(network, source))
    assert source.machine.state.network().validators != after
    assert names(post.note(network.note(source.machine, signers=codes[:5]))) == ["Final"]
    post.block(grow(network, source))
    assert source.machine.state.network().validators == after
    assert post.note(network.note(source.machine, signers=codes[:4])) == [], "the four of the old set alone do not do"
    assert names(post.note(network.note(source.machine, signers=("TYO",)))) == ["Final"]
    assert post.follower.final == source.size


def test_new_validators_say_nothing_about_sizes_before_them() -> None:
    codes = ("DHA", "DEL", "LON", "NYC", "PAR")
    network = TestNetwork.make(codes, seed=9, validators=sorted(codes[:4]))
    source, post = chain_of(network), Post(network)
    change = network.governance(source.machine, "validators-changed", ValidatorsChanged(tuple(sorted(codes[1:]))))
    post.block(extend(network, source, change))
    post.block(grow(network, source))
    early = network.note(source.machine, signers=("DEL", "PAR"))
    post.block(grow(network, source))
    late = network.note(source.machine, signers=("LON",))
    assert [post.note(early), post.note(late)] == [[], []] and post.follower.final < source.size


def test_a_checkpoint_ahead_waits_for_its_blocks(network: TestNetwork, source: Chain, post: Post) -> None:
    block = grow(network, source)
    note = network.note(source.machine, signers=("DHA",))
    assert post.note(note) == [act.FetchBlocks("DHA", block.start, block.size)]
    post.block(block)
    assert act.Final(block.size, note) in post.done


def test_another_peer_is_asked_when_blocks_do_not_come(network: TestNetwork, source: Chain, post: Post) -> None:
    block = grow(network, source)
    note = network.note(source.machine, signers=("DHA",))
    post.note(note, "DHA")
    assert post.note(note, "LON") == []
    assert post.follower.tick(NOW + 1) == []
    again = post.follower.tick(NOW + ASK_AGAIN_SECONDS)
    assert again == [act.FetchBlocks("LON", block.start, block.size)]


def test_a_policy_note_is_taken_once(network: TestNetwork, source: Chain, post: Post) -> None:
    block = grow(network, source)
    post.block(block)
    note = network.note(source.machine)
    assert names(post.note(note)) == ["Final", "PolicyNote"]
    assert post.note(note) == []
    assert post.follower.policy_size == block.size


def test_a_forged_line_drops_the_peer(network: TestNetwork, source: Chain, post: Post) -> None:
    post.block(grow(network, source))
    good = network.note(source.machine, signers=("DHA",))
    forged = network.note(source.machine, signers=("DHA",), root=bytes(32)).splitlines()[-1]
    note = b"\n".join([*good.splitlines()[:-1], forged, b""])
    assert names(post.note(note)) == ["DropPeer"]
    assert post.follower.final < source.size


def test_a_forged_line_of_a_mission_takes_nothing_from_what_is_final(
    network: TestNetwork, source: Chain, post: Post
) -> None:
    post.block(grow(network, source))
    good, mission = network.note(source.machine).splitlines(), next(code for code in network.posts if code != "DHA")
    forged = network.note(source.machine, signers=(mission,), root=bytes(32)).splitlines()[-1]
    note = b"\n".join(forged if line.split()[1:2] == forged.split()[1:2] else line for line in good) + b"\n"
    assert names(post.note(note)) == ["Final", "DropPeer"]
    assert post.follower.final == source.size


def test_a_note_without_a_validators_log_line_drops_nobody(network: TestNetwork, source: Chain, post: Post) -> None:
    post.block(grow(network, source))
    lines = network.note(source.machine).splitlines()
    [log] = [line for line in lines if line.split()[1:2] == [source.machine.origin.encode()]]
    note = b"\n".join(line for line in lines if line != log) + b"\n"
    assert names(post.note(note)) == ["Final"], "of a post that left the validators, or is not one of them yet"
    assert post.follower.policy_size < source.size


def test_another_networks_checkpoint_is_refused(post: Post) -> None:
    other = TestNetwork.make(("DHA", "DEL"), seed=99)
    assert names(post.note(other.note(other.machine()))) == ["DropPeer"]


def test_the_sequencers_second_history_stops_signing(network: TestNetwork, source: Chain, post: Post) -> None:
    post.block(grow(network, source))
    post.note(network.note(source.machine, signers=("DHA",)))
    contrary = network.note(source.machine, signers=("DHA",), root=bytes(32))
    assert names(post.note(contrary)) == ["KeepEvidence", "Alarm", "StopSigning"]
    assert names(post.note(contrary)) == ["StopSigning"], "the evidence is kept once"


def test_a_posts_second_history_is_evidence_against_that_post(network: TestNetwork, source: Chain, post: Post) -> None:
    post.block(grow(network, source))
    post.note(network.note(source.machine, signers=("DHA",)))
    actions = post.note(network.note(source.machine, signers=("LON",), root=bytes(32)))
    assert names(actions) == ["KeepEvidence", "Alarm"]
    assert isinstance(actions[0], act.KeepEvidence) and actions[0].signer == "LON"


def test_one_of_four_validators_does_not_stop_signing_but_two_do(four: TestNetwork) -> None:
    source, post = chain_of(four), Post(four)
    post.block(grow(four, source))
    post.note(four.note(source.machine))
    one = post.note(four.note(source.machine, signers=("DEL",), root=bytes(32)))
    assert "StopSigning" not in names(one)
    assert "StopSigning" in names(post.note(four.note(source.machine, signers=("LON",), root=bytes(32))))


def test_an_unsigned_contradiction_accuses_nobody(network: TestNetwork, source: Chain, post: Post) -> None:
    post.block(grow(network, source))
    post.note(network.note(source.machine, signers=("DHA",)))
    assert names(post.note(network.note(source.machine, signers=(), root=bytes(32)))) == ["DropPeer"]


def test_blocks_that_a_peer_made_up_are_given_up(network: TestNetwork, source: Chain, post: Post) -> None:
    """Valid entries in a block that the sequencer never made: nobody has signed it."""
    made_up = chain_of(network)
    post.block(grow(network, made_up, code="LON"), "LON")
    truth = grow(network, source, code="DEL")
    note = network.note(source.machine, signers=("DHA",))
    actions = post.note(note)
    assert names(actions) == ["Alarm", "Truncate"] and actions[1] == act.Truncate(truth.start)
    del log_of(post.chain).stored[truth.start :]
    post.follower.truncated(network.machine(MODULES))
    post.note(note)
    post.block(truth)
    assert post.chain.machine.root == source.machine.root and post.follower.final == truth.size
