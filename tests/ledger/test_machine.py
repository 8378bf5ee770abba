from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.block import BadBlock
from ledger.bodies import OfficerRevoked, PostRetired
from ledger.entry import decode_leaf, encode_leaf, make_leaf
from ledger.logfile import LEAF, LogItem, write_log
from ledger.machine import LEDGER_MODULES, RETAINED_BLOCKS, Machine
from ledger.merkle import leaf_hash, root_of
from ledger.rules import Rules
from ledger.wire import CODEC, BlockRecord, Entry, Misbehaviour, Signature, SignedEntry
from protos.errors import DutabartaError, Malformed, Unavailable
from support.network import OfficerKeys, TestNetwork

Refuses = Callable[[Machine, bytes, str], None]
ROOT_DIRECTORY = Path(__file__).parents[2]
KINDS = sorted(kind for module in LEDGER_MODULES for kind in module.kinds)

NET = TestNetwork.make()


# --- total -----------------------------------------------------------------------------------------------


@given(st.binary(max_size=500))
def test_arbitrary_bytes_are_refused_by_name(data: bytes) -> None:
    machine = NET.machine()
    code = machine.check(data)
    assert code != "accepted"
    assert code == code.lower()
    result = machine.apply_block([data], machine.time)
    assert (result.results[0].code, result.leaves) == (code, ())


ids = st.binary(min_size=32, max_size=32)


@given(st.sampled_from([*KINDS, "prekey", ""]), st.integers(0, 9), st.binary(max_size=300), st.lists(ids, max_size=3))
def test_an_entry_with_an_arbitrary_payload_never_raises(
    kind: str, sequence: int, payload: bytes, signers: list[bytes]
) -> None:
    signed = SignedEntry(CODEC.encode(Entry(kind, sequence, payload)), tuple(Signature(one, b"x") for one in signers))
    assert NET.machine().check(b"\x01" + CODEC.encode(signed)) != "accepted"


bodies_by_type = {body: kind for module in LEDGER_MODULES for kind, body in module.kinds.items()}


@given(st.data())
def test_an_entry_with_an_arbitrary_well_formed_body_never_raises(data: st.DataObject) -> None:
    """Every payload decodes: what is tested are the rules themselves."""
    body_type = data.draw(st.sampled_from(sorted(bodies_by_type, key=lambda one: one.__name__)))
    body = data.draw(st.builds(body_type))
    try:
        payload = CODEC.encode(body)
    except (Malformed, ValueError, TypeError, UnicodeEncodeError):
        return
    sequence = data.draw(st.sampled_from([1, 5]))
    signers = data.draw(st.sampled_from([NET.roots[:3], NET.approvers("DEL"), [NET.posts["DEL"].entry], []]))
    kind = bodies_by_type[body_type]
    signed = [Signature(one.public_key.key_id, b"x" * 64) for one in signers]
    leaf = make_leaf(CODEC.encode(Entry(kind, sequence, payload)), signed)
    assert NET.machine().check(leaf) != "accepted"


def test_every_flipped_bit_of_an_entry_is_refused(net: TestNetwork, machine: Machine) -> None:
    leaf = net.batch(machine, "DEL")
    for position in range(len(leaf) * 8):
        changed = bytearray(leaf)
        changed[position // 8] ^= 1 << position % 8
        assert machine.check(bytes(changed)) != "accepted", position
    assert machine.check(leaf) == "accepted"


def test_flipped_bits_of_a_dual_signed_entry_are_refused(net: TestNetwork, machine: Machine) -> None:
    leaf = net.enrolment(machine, net.officer_keys("DEL"))
    for position in range(0, len(leaf) * 8, 97):
        changed = bytearray(leaf)
        changed[position // 8] ^= 1 << position % 8
        assert machine.check(bytes(changed)) != "accepted", position


def test_an_entry_of_an_unknown_kind_is_refused(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    read = CODEC.encode(Entry("prekey", 1, b"\x10\x01"))
    refuses(machine, b"\x01" + CODEC.encode(SignedEntry(read, ())), "unknown-kind")


def test_an_entry_too_large_is_refused_before_it_is_read(machine: Machine, refuses: Refuses) -> None:
    refuses(machine, b"\x01" + bytes(32 * 1024), "too-large")


def test_an_entry_of_another_network_is_refused(machine: Machine, refuses: Refuses) -> None:
    other = TestNetwork.make()
    refuses(machine, other.batch(other.machine(), "DEL"), "bad-signature")


def test_two_modules_cannot_claim_one_kind() -> None:
    with pytest.raises(ValueError, match="batch"):
        Rules((*LEDGER_MODULES, LEDGER_MODULES[-1]))


# --- blocks ----------------------------------------------------------------------------------------------


def test_a_block_is_its_accepted_entries_and_a_record(net: TestNetwork, machine: Machine) -> None:
    good, again = net.batch(machine, "DEL"), net.batch(machine, "DEL")
    size = machine.size
    result = machine.apply_block([good, b"junk", again], machine.time + 7)
    assert [one.code for one in result.results] == ["accepted", "not-an-entry", "wrong-sequence"]
    assert [one.index for one in result.results] == [size, -1, -1]
    assert result.leaves[:-1] == (good,)
    assert decode_leaf(result.leaves[-1]) == BlockRecord(machine.time, (), machine.state.root)
    assert (result.size, result.root, result.state_root) == (machine.size, machine.root, machine.state.root)
    assert machine.root == root_of(map(leaf_hash, (*net.leaves, *result.leaves)))


def test_an_idle_block_changes_nothing(machine: Machine) -> None:
    before = (machine.size, machine.root, machine.blocks, machine.time)
    assert machine.apply_block([], machine.time + 100).leaves == ()
    assert machine.apply_block([b"", b"\x01"], machine.time + 100).leaves == ()
    assert (machine.size, machine.root, machine.blocks, machine.time) == before


def test_misbehaviour_alone_makes_a_block(net: TestNetwork, machine: Machine) -> None:
    offence = Misbehaviour("DEL", "duplicate-vote", 12, 1_750_000_000)
    result = machine.apply_block([], machine.time + 1, [offence])
    assert len(result.leaves) == 1
    other = net.machine()
    other.replay_block(result.leaves)
    assert other.root == machine.root


def test_misbehaviour_that_no_engine_reports_is_refused(machine: Machine) -> None:
    for offence in (Misbehaviour("DEL", "rudeness", 1, 1), Misbehaviour("D", "duplicate-vote", 1, 1)):
        with pytest.raises(DutabartaError) as caught:
            machine.apply_block([], machine.time, [offence])
        assert caught.value.code in ("bad-misbehaviour", "bad-code")


def test_block_time_never_goes_back(net: TestNetwork, machine: Machine) -> None:
    net.run(machine, net.batch(machine, "DEL"), time=machine.time + 50)
    time = machine.time
    net.run(machine, net.batch(machine, "DEL"), time=5)
    assert machine.time == time


def test_check_says_what_the_next_block_will(net: TestNetwork, machine: Machine) -> None:
    leaf = net.batch(machine, "DEL")
    result = machine.check_result(leaf)
    assert (result.code, result.index) == ("accepted", machine.size)
    assert machine.apply_block([leaf], machine.time).results == (result,)


def test_a_fork_is_independent(net: TestNetwork, machine: Machine) -> None:
    fork = machine.fork()
    before = (machine.size, machine.root, machine.state.root, machine.changes)
    net.run(fork, net.batch(fork, "DEL"))
    net.run(fork, net.governance(fork, "post-retired", PostRetired("WAS")))
    assert (machine.size, machine.root, machine.state.root, machine.changes) == before
    assert fork.size > machine.size
    net.run(machine, net.batch(machine, "LON"))
    assert machine.state.sequence(net.posts["LON"].entry.public_key.key_id) == 1
    assert fork.state.sequence(net.posts["LON"].entry.public_key.key_id) == 0


def test_the_states_of_the_last_blocks_are_kept(net: TestNetwork) -> None:
    machine = net.machine()
    sizes = [machine.size]
    for _ in range(RETAINED_BLOCKS):
        net.run(machine, net.batch(machine, "DEL"))
        sizes.append(machine.size)
    entry_key = net.posts["DEL"].entry.public_key.key_id
    assert machine.state_at(sizes[1]).sequence(entry_key) == 1
    assert machine.state_at(sizes[-1]).root == machine.state.root
    for size in (sizes[0], sizes[1] + 1, 0, machine.size + 1):
        with pytest.raises(Unavailable) as caught:
            machine.state_at(size)
        assert caught.value.code == "old-size"


# --- replay ----------------------------------------------------------------------------------------------


def busy(net: TestNetwork, machine: Machine) -> list[tuple[bytes, ...]]:
    """A few blocks of many kinds."""
    officer = net.officer_keys("DEL")
    terminal = net.terminal_keys(officer)
    blocks = [net.run(machine, net.enrolment(machine, officer), net.batch(machine, "LON")).leaves]
    blocks.append(net.run(machine, net.terminal_enrolment(machine, terminal)).leaves)
    blocks.append(net.run(machine, net.governance(machine, "post-retired", PostRetired("WAS"))).leaves)
    blocks.append(net.run(machine, net.batch(machine, "DEL"), net.batch(machine, "DEL", ahead=1)).leaves)
    return blocks


def test_replay_is_the_same_as_live(net: TestNetwork, machine: Machine) -> None:
    other = net.machine()
    for block in busy(net, machine):
        other.replay_block(block)
    assert (other.size, other.root, other.state.root, other.time) == (
        machine.size,
        machine.root,
        machine.state.root,
        machine.time,
    )
    assert other.changes == machine.changes


def test_a_changed_block_is_refused_and_changes_nothing(net: TestNetwork, machine: Machine) -> None:
    blocks = busy(net, machine)
    *entries, last = blocks[0]
    record = decode_leaf(last)
    assert isinstance(record, BlockRecord)
    later = encode_leaf(BlockRecord(record.time - 99, (), record.state_root))
    wrong_root = encode_leaf(BlockRecord(record.time, (), bytes(32)))
    cases: list[tuple[str, tuple[bytes, ...]]] = [
        ("unknown-leaf", ()),
        ("not-a-record", tuple(entries)),
        ("empty-block", (last,)),
        ("wrong-state-root", (*entries, wrong_root)),
        ("wrong-state-root", (entries[0], last)),
        ("time-goes-back", (*entries, later)),
        ("wrong-sequence", (*entries, entries[0], last)),
        ("not-an-entry", (*entries, last, last)),
        ("not-canonical", (entries[0] + b"\x1a\x00", entries[1], last)),
    ]
    for code, leaves in cases:
        other = net.machine()
        before = (other.size, other.root, other.state.root)
        with pytest.raises(BadBlock) as caught:
            other.replay_block(leaves)
        assert caught.value.code in (code, "known-officer")
        assert (other.size, other.root, other.state.root) == before


def test_the_order_of_entries_in_a_block_is_part_of_the_log(net: TestNetwork, machine: Machine) -> None:
    one, two = net.batch(machine, "DEL"), net.batch(machine, "LON")
    forward, backward = net.machine(), net.machine()
    forward.apply_block([one, two], 5)
    backward.apply_block([two, one], 5)
    assert forward.state.root == backward.state.root
    assert forward.root != backward.root


SCRIPT = """
import sys
from keys.signing import DirectVerifier
from ledger.logfile import leaves_of, read_log
from ledger.block import is_record
from ledger.machine import Machine
leaves, machine = [], None
with open(sys.argv[1], "rb") as stream:
    for leaf in leaves_of(read_log(stream)):
        leaves.append(leaf)
        if is_record(leaf):
            if machine is None:
                machine = Machine.found(leaves, (), DirectVerifier())
            else:
                machine.replay_block(leaves)
            leaves = []
print(machine.root.hex(), machine.state.root.hex())
"""


def test_two_hash_seeds_give_one_root(net: TestNetwork, machine: Machine, tmp_path: Path) -> None:
    leaves = [*net.leaves, *(leaf for block in busy(net, machine) for leaf in block)]
    with open(tmp_path / "log", "wb") as stream:
        write_log(stream, (LogItem(LEAF, leaf) for leaf in leaves))
    answers = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "log")],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT_DIRECTORY)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "4711")
    }
    assert answers == {f"{machine.root.hex()} {machine.state.root.hex()}\n"}


class Ledger(RuleBasedStateMachine):
    """Random acts of a network: a live machine and a replaying one never part, and a model knows who may act."""

    def __init__(self) -> None:
        super().__init__()
        self.live = NET.machine()
        self.replayed = NET.machine()
        self.officers: list[OfficerKeys] = []
        self.batches = dict.fromkeys(NET.posts, 0)

    @initialize()
    def start(self) -> None:
        self.net = NET

    def block(self, *leaves: bytes) -> list[str]:
        result = self.live.apply_block(leaves, self.live.time + 1)
        if result.leaves:
            self.replayed.replay_block(result.leaves)
        return [one.code for one in result.results]

    @rule(code=st.sampled_from(sorted(NET.posts)))
    def enrol(self, code: str) -> None:
        officer = self.net.officer_keys(code)
        assert self.block(self.net.enrolment(self.live, officer)) == ["accepted"]
        self.officers.append(officer)

    @precondition(lambda self: bool(self.officers))
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        officer = data.draw(st.sampled_from(self.officers))
        own, _ = self.net.approvers(officer.post)
        body = OfficerRevoked(officer.officer_id, 0)
        assert self.block(self.net.signed(self.live, "officer-revoked", body, own)) == ["accepted"]
        assert self.block(self.net.signed(self.live, "officer-revoked", body, own)) == ["revoked-officer"]
        self.officers.remove(officer)

    @rule(codes=st.lists(st.sampled_from(sorted(NET.posts)), min_size=1, max_size=3, unique=True))
    def anchor(self, codes: list[str]) -> None:
        leaves = [self.net.batch(self.live, code) for code in codes]
        assert self.block(*leaves) == ["accepted"] * len(codes)
        assert self.block(*leaves) == ["wrong-sequence"] * len(codes)
        for code in codes:
            self.batches[code] += 1

    @rule(data=st.binary(max_size=60))
    def disturb(self, data: bytes) -> None:
        assert self.block(data)[0] != "accepted"

    @invariant()
    def agree(self) -> None:
        assert self.live.root == self.replayed.root
        assert self.live.state.root == self.replayed.state.root
        for officer in self.officers:
            assert self.live.state.may_act(officer.officer_id)
        for code, count in self.batches.items():
            assert self.live.state.sequence(NET.posts[code].entry.public_key.key_id) == count


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=20, stateful_step_count=20)
