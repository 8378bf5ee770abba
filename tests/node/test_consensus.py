"""The ledger behind a scripted engine: everything ABCI may do, in any order that a crash can make of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.possession import prove
from keys.public import SUITE_ED25519
from ledger.block import ACCEPTED, decode_record, is_record
from ledger.bodies import EngineChanged, NodeKeyChanged, PostRetired, ValidatorsChanged
from ledger.machine import Machine
from ledger.wire import MAX_LEAF_BYTES, Misbehaviour
from node.abci.limits import tx_bytes
from node.abci.messages import DUPLICATE_VOTE, Genesis, Offence, Proposal, ValidatorKey
from node.chain import Chain
from node.consensus import Application, CommitBlock
from node.engine import Position, address_of, engine_start
from node.modules import MODULES
from protos.errors import Refused, VerificationFailed
from support.chains import MemoryLog
from support.network import FOUNDED_AT, TestNetwork

COUNCIL = ("DEL", "DHA", "LON", "WAS")
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def network() -> TestNetwork:
    return TestNetwork.make(("DHA", "DEL", "LON", "WAS", "PAR"), seed=31, validators=COUNCIL)


@dataclass
class Scripted:
    """An engine and a disk: the disk holds the leaves and the position of each Commit, and survives a crash."""

    network: TestNetwork
    disk: list[bytes] = field(default_factory=list)
    position: Position | None = None
    height: int = 0

    def __post_init__(self) -> None:
        self.disk = self.disk or list(self.network.leaves)
        self.start()

    def start(self) -> None:
        """The node starts from its disk, and the engine greets it."""
        self.chain = Chain(replayed(self.network, self.disk), MemoryLog(self.disk))
        self.app = Application(self.chain, self.position)
        self.height = self.app.info().height
        if not self.height:
            self.app.init_chain(genesis_of(self.app))

    def block(self, *txs: bytes, offences: tuple[Offence, ...] = ()) -> Proposal:
        """The next block."""
        return Proposal(self.height + 1, FOUNDED_AT + self.height, txs, offences)

    def decide(self, *txs: bytes, offences: tuple[Offence, ...] = ()) -> list[str]:
        """A block from FinalizeBlock to Commit; the codes of its results."""
        results = self.app.finalize(self.block(*txs, offences=offences)).results
        self.commit()
        return [one.code for one in results]

    def commit(self) -> None:
        """Commit, durably."""
        self.save(self.app.commit())
        self.app.committed()
        self.height += 1

    def save(self, commit: CommitBlock) -> None:
        """The store's transaction."""
        if commit.append is not None:
            assert commit.append.start == len(self.disk)
            self.disk.extend(commit.append.leaves)
        self.position = commit.position

    def batch(self, code: str = "DHA") -> bytes:
        """A new entry."""
        return self.network.batch(self.chain.machine, code)


def replayed(network: TestNetwork, disk: list[bytes]) -> Machine:
    machine, block = network.machine(MODULES), list[bytes]()
    for leaf in disk[machine.size :]:
        block.append(leaf)
        if is_record(leaf):
            machine.replay_block(tuple(block))
            block.clear()
    assert not block
    return machine


def genesis_of(app: Application) -> Genesis:
    start = app.start
    return Genesis(start.chain_id, 1, start.validator_keys, start.app_state)


def offence_of(network: TestNetwork, code: str, kind: int = DUPLICATE_VOTE, time: int = FOUNDED_AT) -> Offence:
    return Offence(kind, address_of(network.posts[code].consensus.public_key.key), 3, time)


# --- beginning -----------------------------------------------------------------------------------------------


def test_before_the_first_commit_info_answers_zero_and_the_founding_root(network: TestNetwork) -> None:
    node = Scripted(network)
    assert (node.app.info().height, node.app.info().app_hash) == (0, network.machine().root)


def test_init_chain_may_come_twice(network: TestNetwork) -> None:
    node = Scripted(network)
    first = node.app.init_chain(genesis_of(node.app))
    node.app.finalize(node.block(node.batch()))
    assert node.app.init_chain(genesis_of(node.app)) == first
    assert {one.key for one in first.validators} == {network.posts[code].consensus.public_key.key for code in COUNCIL}
    assert node.app.info().app_hash == first.app_hash == network.machine().root


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": "dutabarta-other"},
        {"initial_height": 2},
        {"app_state": b"{}"},
        {"app_state": b"not json"},
        {"app_state": b"[" * 100_000},
        {"validators": ()},
        {"validators": (ValidatorKey(bytes(32), 1),)},
    ],
)
def test_a_genesis_of_another_log_is_refused(network: TestNetwork, change: dict[str, object]) -> None:
    node = Scripted(network)
    with pytest.raises(Refused) as refused:
        node.app.init_chain(replace(genesis_of(node.app), **change))  # type: ignore[arg-type]
    assert refused.value.code == "wrong-engine-genesis"


def test_init_chain_after_a_commit_is_refused(network: TestNetwork) -> None:
    node = Scripted(network)
    node.decide()
    with pytest.raises(Refused):
        node.app.init_chain(genesis_of(node.app))


def test_a_solo_network_has_no_engine() -> None:
    solo = TestNetwork.make(("DHA", "DEL"), seed=32)
    with pytest.raises(Refused) as refused:
        engine_start(Chain(solo.machine(MODULES), MemoryLog(list(solo.leaves))))
    assert refused.value.code == "not-comet"


# --- blocks --------------------------------------------------------------------------------------------------


def test_a_block_is_the_block_that_solo_would_make(network: TestNetwork) -> None:
    node, machine = Scripted(network), network.machine(MODULES)
    leaf = node.batch()
    expected = machine.apply_block([leaf, b"garbage"], FOUNDED_AT + node.height)
    assert node.decide(leaf, b"garbage") == [ACCEPTED, "not-an-entry"]
    assert tuple(node.disk[-2:]) == expected.leaves
    assert node.app.info().app_hash == expected.root == node.chain.machine.root


def test_an_empty_block_keeps_the_app_hash_and_its_height_is_durable(network: TestNetwork) -> None:
    node = Scripted(network)
    root, size = node.app.info().app_hash, len(node.disk)
    node.decide()
    node.start()
    assert (node.app.info().height, node.app.info().app_hash) == (1, root)
    assert len(node.disk) == size


def test_nothing_is_shown_before_commit(network: TestNetwork) -> None:
    node = Scripted(network)
    root, leaf = node.chain.machine.root, node.batch()
    block = node.block(leaf)
    assert node.app.prepare(block, MEGABYTE) == (leaf,)
    assert node.app.process(block)
    decided = node.app.finalize(block)
    node.app.commit()
    assert node.app.info().app_hash == node.chain.machine.root == root != decided.app_hash
    assert node.app.check_tx(leaf).code == ACCEPTED


def test_check_tx_says_the_same_any_number_of_times(network: TestNetwork) -> None:
    node = Scripted(network)
    leaf = node.batch()
    assert {node.app.check_tx(leaf).code for _ in range(5)} == {ACCEPTED}
    node.decide(leaf)
    assert {node.app.check_tx(leaf).code for _ in range(5)} == {"wrong-sequence"}
    assert node.app.check_tx(bytes(MAX_LEAF_BYTES + 1)).code == "too-large"


@given(st.binary(max_size=200))
def test_any_bytes_get_a_name_and_no_vote(junk: bytes) -> None:
    node = SHARED()
    assert node.app.check_tx(junk).code != ACCEPTED
    assert not node.app.process(node.block(junk))
    assert node.app.prepare(node.block(junk), MEGABYTE) == ()


_shared: list[Scripted] = []


def SHARED() -> Scripted:
    """One node for what changes nothing."""
    if not _shared:
        _shared.append(Scripted(TestNetwork.make(("DHA", *("DEL", "LON", "WAS")), seed=33, validators=COUNCIL)))
    return _shared[0]


def test_a_proposer_leaves_out_what_would_be_refused(network: TestNetwork) -> None:
    node = Scripted(network)
    first, second = node.batch("DHA"), node.batch("LON")
    other = network.batch(node.chain.machine, "DHA")
    offered = (b"junk", first, first, other, bytes(MAX_LEAF_BYTES + 1), second)
    assert node.app.prepare(node.block(*offered), MEGABYTE) == (first, second)


@pytest.mark.parametrize("missing", [0, 1])
def test_a_proposal_stays_within_the_bytes_that_the_engine_gives(network: TestNetwork, missing: int) -> None:
    node = Scripted(network)
    leaves = [node.batch(code) for code in COUNCIL]
    limit = sum(map(tx_bytes, leaves)) - missing
    kept = node.app.prepare(node.block(*leaves), limit)
    assert len(kept) == 4 - missing and sum(map(tx_bytes, kept)) <= limit


def test_a_byzantine_proposal_gets_no_vote_and_changes_nothing(network: TestNetwork) -> None:
    node = Scripted(network)
    old = node.batch()
    node.decide(old)
    good, root = node.batch("LON"), node.chain.machine.root
    bad = [(good, good), (old,), (good, b""), (bytes(MAX_LEAF_BYTES + 1),), (good, node.disk[-1]), (node.disk[0],)]
    for txs in bad:
        assert not node.app.process(node.block(*txs))
        assert not node.app.process(node.block(*txs))
    assert node.app.process(node.block(good))
    assert node.chain.machine.root == root
    assert node.decide(good) == [ACCEPTED]


def test_two_nodes_judge_alike_whatever_they_saw_before(network: TestNetwork) -> None:
    one, other = Scripted(network), Scripted(network)
    first, second = one.batch("LON"), one.batch("DEL")
    one.app.process(one.block(b"junk"))
    one.app.prepare(one.block(second), MEGABYTE)
    one.app.process(one.block(second, first))
    block = one.block(first, second)
    assert one.app.finalize(block) == other.app.finalize(block)


def test_a_wrong_height_and_a_commit_of_nothing_are_refused(network: TestNetwork) -> None:
    node = Scripted(network)
    with pytest.raises(Refused) as refused:
        node.app.finalize(replace(node.block(), height=node.height + 2))
    assert refused.value.code == "wrong-height"
    with pytest.raises(Refused) as refused:
        node.app.commit()
    assert refused.value.code == "nothing-decided"


# --- crashes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["prepare", "process", "finalize", "commit", "durable", "committed"])
def test_a_crash_at_any_point_loses_and_doubles_nothing(network: TestNetwork, point: str) -> None:
    node, whole = Scripted(network), Scripted(network)
    first, second = node.batch("DHA"), node.batch("LON")
    node.decide(first), whole.decide(first)
    block = node.block(second)
    node.app.prepare(block, MEGABYTE)
    if point != "prepare":
        node.app.process(block)
    if point not in ("prepare", "process"):
        node.app.finalize(block)
    if point in ("commit", "durable", "committed"):
        commit = node.app.commit()
        if point != "commit":
            node.save(commit)
        if point == "committed":
            node.app.committed()
    node.start()
    if node.height < block.height:  # the engine replays what the application has not committed
        node.decide(second)
    whole.decide(second)
    assert node.disk == whole.disk and node.position == whole.position
    assert node.app.info() == whole.app.info()


@given(st.lists(st.sampled_from(["entry", "empty", "junk", "offence", "crash", "late crash", "again"]), max_size=12))
def test_any_course_of_blocks_and_crashes_gives_a_log_that_replays(course: list[str]) -> None:
    base = SHARED()
    node = Scripted(base.network)
    for step in course:
        heights = node.height
        if step == "crash":
            node.app.finalize(node.block(node.batch()))
            node.start()
        elif step == "late crash":
            node.app.finalize(node.block(node.batch()))
            node.save(node.app.commit())
            node.start()
        elif step == "again":  # the engine restarts alone and replays the last decided block
            block = node.block(node.batch())
            assert node.app.finalize(block) == node.app.finalize(block)
            node.commit()
        elif step == "offence":
            node.decide(offences=(offence_of(base.network, "LON"),))
        else:
            node.decide(*{"entry": [node.batch()], "junk": [b"junk"], "empty": []}[step])
        assert node.height == heights + (step != "crash")
    assert replayed(base.network, node.disk).root == node.app.info().app_hash
    assert node.app.info().height == (node.position.height if node.position else 0)


# --- misbehaviour and keys -------------------------------------------------------------------------------------


def test_misbehaviour_names_the_post_in_the_block_record(network: TestNetwork) -> None:
    node = Scripted(network)
    offences = (
        offence_of(network, "LON"),
        offence_of(network, "WAS", kind=2, time=-1),
        offence_of(network, "WAS", kind=9),
        Offence(DUPLICATE_VOTE, bytes(20), 1, 1),
    )
    node.decide(offences=offences)
    named = decode_record(node.disk[-1]).misbehaviour
    assert named == (
        Misbehaviour("LON", "duplicate-vote", 3, FOUNDED_AT),
        Misbehaviour("WAS", "light-client-attack", 3, 0),
    )


def test_an_offence_under_a_former_consensus_key_names_the_post_also_after_a_restart(network: TestNetwork) -> None:
    node = Scripted(network)
    key = network.fresh(SUITE_ED25519)
    body = NodeKeyChanged("LON", "consensus", prove(key, "consensus"))
    old = network.posts["LON"].consensus.public_key.key
    changed = node.app.finalize(node.block(network.governance(node.chain.machine, "node-key-changed", body)))
    assert set(changed.validators) == {ValidatorKey(old, 0), ValidatorKey(key.public_key.key, 1)}
    node.commit()
    node.start()
    node.decide(offences=(offence_of(network, "LON"),))
    assert decode_record(node.disk[-1]).misbehaviour[0].validator == "LON"


def test_a_change_of_validators_reaches_the_engine_once_in_the_block_of_its_entry(network: TestNetwork) -> None:
    node = Scripted(network)
    change = network.governance(
        node.chain.machine, "validators-changed", ValidatorsChanged(("DEL", "DHA", "LON", "PAR"))
    )
    keys = {code: network.posts[code].consensus.public_key.key for code in ("PAR", "WAS")}
    decided = node.app.finalize(node.block(change))
    assert set(decided.validators) == {ValidatorKey(keys["PAR"], 1), ValidatorKey(keys["WAS"], 0)}
    node.commit()
    for _ in range(3):  # the ledger's own set changes two blocks later
        assert node.app.finalize(node.block(node.batch())).validators == ()
        node.commit()
    assert node.chain.machine.state.network().validators == ("DEL", "DHA", "LON", "PAR")


# --- peers -----------------------------------------------------------------------------------------------------


def test_retired_posts_are_no_peers_and_unknown_ids_only_until_caught_up(network: TestNetwork) -> None:
    node = Scripted(network)
    ids = {code: address_of(keys.consensus.public_key.key).hex() for code, keys in network.posts.items()}
    node.decide(network.governance(node.chain.machine, "post-retired", PostRetired("PAR")))
    assert node.app.query(f"/p2p/filter/id/{ids['LON']}").code == ACCEPTED
    assert node.app.query(f"/p2p/filter/id/{ids['PAR']}").code == "retired-post"
    assert node.app.query(f"/p2p/filter/id/{bytes(20).hex()}").code == ACCEPTED
    node.app.is_caught_up = True
    assert node.app.query(f"/p2p/filter/id/{bytes(20).hex()}").code == "unknown-peer"
    assert node.app.query("/p2p/filter/id/zz").code == "unknown-peer"
    assert node.app.query("/p2p/filter/addr/192.0.2.1:1").code == ACCEPTED
    assert node.app.query("/store").code == "unknown-path"


# --- another engine, and joining --------------------------------------------------------------------------------


def solo_history() -> tuple[TestNetwork, list[bytes], Machine]:
    solo = TestNetwork.make(("DHA", "DEL", "LON", "WAS"), seed=34)
    machine, disk = solo.machine(MODULES), list(solo.leaves)
    disk += solo.run(machine, solo.batch(machine, "DHA")).leaves
    body = EngineChanged("comet", machine.size, machine.root, machine.state.root, COUNCIL)
    disk += solo.run(machine, solo.governance(machine, "engine-changed", body), solo.batch(machine, "LON")).leaves
    return solo, disk, machine


def test_a_living_solo_network_goes_on_under_comet() -> None:
    solo, disk, machine = solo_history()
    node = Scripted(solo, list(disk))
    assert (node.app.start.size, node.app.start.root) == (len(disk), machine.root)
    assert node.app.info().height == 0
    node.decide(node.batch())
    node.start()
    assert node.app.info().height == 1
    assert node.disk[: len(disk)] == disk
    assert node.app.start.size == len(disk)


def test_a_follower_with_its_own_log_is_taken_through_the_same_blocks() -> None:
    solo, disk, _ = solo_history()
    validator = Scripted(solo, list(disk))
    blocks = [validator.block(), validator.block(validator.batch())]
    decided = []
    for number in range(5):
        block = validator.block(*([] if number % 2 else [validator.batch()]))
        decided.append(block)
        validator.app.finalize(block)
        validator.commit()
    assert len(blocks) == 2
    joiner = Scripted(solo, list(validator.disk))
    for number, block in enumerate(decided):
        assert joiner.app.finalize(block).app_hash
        joiner.commit()
        if number == 2:  # a restart half way reads the log again up to there
            joiner.start()
            assert joiner.app.info().height == block.height
    assert joiner.disk == validator.disk and joiner.app.info() == validator.app.info()
    assert joiner.decide(joiner.batch()) == [ACCEPTED]


def test_a_joiner_whose_log_differs_refuses_to_commit() -> None:
    solo, disk, _ = solo_history()
    validator, other = Scripted(solo, list(disk)), Scripted(solo, list(disk))
    validator.decide(validator.batch("DEL"))
    block = other.block(other.batch("WAS"))
    joiner = Scripted(solo, list(validator.disk))
    joiner.app.finalize(block)
    with pytest.raises(VerificationFailed) as failed:
        joiner.app.commit()
    assert failed.value.code == "contradicting-log"


def test_after_engine_changed_the_old_engine_does_nothing_more() -> None:
    solo, disk, _ = solo_history()
    node = Scripted(solo, list(disk))
    machine = node.chain.machine
    body = EngineChanged("solo", machine.size, machine.root, machine.state.root, ("DHA",))
    end = solo.governance(machine, "engine-changed", body)
    decided = node.app.finalize(node.block(end))
    assert decided.validators == () and decided.results[0].code == ACCEPTED
    node.commit()
    leaf = node.batch()
    assert node.app.is_over
    assert node.app.prepare(node.block(leaf), MEGABYTE) == () and not node.app.process(node.block())
    with pytest.raises(Refused) as refused:
        node.app.finalize(node.block())
    assert refused.value.code == "engine-over"
