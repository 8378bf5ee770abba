"""The witness: what it signs, and what it never signs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.checkpoint import parse_checkpoint
from ledger.cosignature import CosignerKey, cosigner_name, verify_cosignature
from ledger.note import NoteSignature, SignedNote
from ledger.parameters import EXERCISE_PARAMETERS
from node import actions as act
from node.chain import Chain
from node.witness import MAX_CLOCK_DIFFERENCE, NEWEST_PER_STEP, SEND_AGAIN_SECONDS, Witness
from support.chains import chain_of, grow, log_of
from support.network import FOUNDED_AT, TestNetwork, post_card, post_keys

NOW = 1_760_000_000


@pytest.fixture(scope="module")
def network() -> TestNetwork:
    """Cosigns the first checkpoint in each 30 s."""
    return TestNetwork.make(
        ("DHA", "DEL", "LON", "WAS"), seed=7, parameters=replace(EXERCISE_PARAMETERS, cosign_seconds=30)
    )


@pytest.fixture
def chain(network: TestNetwork) -> Chain:
    return chain_of(network)


def witness_of(network: TestNetwork, chain: Chain, code: str, **known: object) -> Witness:
    """A witness whose rollback check is done."""
    keys = network.posts[code]
    log_signer = keys.log if code == "DHA" else None
    witness = Witness(chain, code, keys.cosigner, log_signer=log_signer, **known)  # type: ignore[arg-type]
    for other in [one for one in network.posts if one != code][:2]:
        witness.own_newest(other, 0, b"")
    return witness


def signed(actions: list[act.Action]) -> list[int]:
    return [one.size for one in actions if isinstance(one, act.SaveSignState)]


def test_a_validator_signs_every_checkpoint_in_order(network: TestNetwork, chain: Chain) -> None:
    witness = witness_of(network, chain, "DHA")
    sizes = [chain.size, grow(network, chain, 1).size, grow(network, chain, 1).size]
    assert signed(witness.advance(0, NOW)) == sizes
    assert signed(witness.advance(0, NOW + 99)) == []


def test_a_validator_beside_others_signs_what_its_engine_decided_or_what_is_final(
    network: TestNetwork, chain: Chain
) -> None:
    founding, witness = chain.size, witness_of(network, chain, "DHA")
    decided, final, _ = (grow(network, chain, number).size for number in (1, 2, 3))
    witness.decided_to(decided)
    assert signed(witness.advance(0, NOW)) == [founding, decided]
    assert signed(witness.advance(final, NOW)) == [final], "a quorum of the others has signed it"
    assert signed(witness.advance(final, NOW)) == [], "the last one is a peer's word"
    witness.decided_to(chain.size)
    assert signed(witness.advance(final, NOW)) == [chain.size]


def test_the_signature_is_durable_before_it_is_sent(network: TestNetwork, chain: Chain) -> None:
    actions = witness_of(network, chain, "DEL").advance(chain.size, NOW)
    assert [type(one) for one in actions] == [act.SaveSignState, act.SendCosignature]
    state, sent = actions
    assert isinstance(state, act.SaveSignState) and isinstance(sent, act.SendCosignature)
    assert (sent.post, sent.size, sent.root) == ("DHA", chain.size, chain.machine.root)
    key = CosignerKey(cosigner_name(chain.machine.origin, "DEL"), network.posts["DEL"].cosigner.public_key.key)
    checkpoint = parse_checkpoint(SignedNote.decode(state.note).text)
    assert verify_cosignature(key, checkpoint, NoteSignature.decode(sent.line.decode())) == NOW


def test_a_validators_note_carries_its_log_line(network: TestNetwork, chain: Chain) -> None:
    [_, note] = witness_of(network, chain, "DHA").advance(0, NOW)
    assert isinstance(note, act.OwnNote)
    assert [one.name for one in SignedNote.decode(note.note).signatures] == [
        chain.machine.origin,
        cosigner_name(chain.machine.origin, "DHA"),
    ]


def test_a_post_signs_only_what_is_final_and_the_first_of_each_interval(network: TestNetwork, chain: Chain) -> None:
    start = -FOUNDED_AT % 30
    witness = witness_of(network, chain, "DEL")
    witness.advance(chain.size, NOW)
    first, second, third, fourth = (grow(network, chain, start + at) for at in (1, 5, 31, 35))
    assert signed(witness.advance(first.start, NOW)) == []
    assert signed(witness.advance(first.size, NOW)) == [first.size]
    assert signed(witness.advance(second.size, NOW)) == []
    assert signed(witness.advance(fourth.size, NOW)) == [third.size]


def test_posts_meet_on_the_same_sizes_whatever_steps_finality_takes(network: TestNetwork, chain: Chain) -> None:
    one, other = witness_of(network, chain, "DEL"), witness_of(network, chain, "LON")
    blocks = [grow(network, chain, at) for at in (31, 40, 62, 63, 95)]
    slowly = [size for block in blocks for size in signed(one.advance(block.size, NOW))]
    assert slowly == signed(other.advance(chain.size, NOW))


def test_a_quiet_network_gets_its_newest_checkpoint_signed(network: TestNetwork, chain: Chain) -> None:
    witness = witness_of(network, chain, "DEL")
    witness.advance(chain.size, NOW)
    same_interval = grow(network, chain, 0)
    assert signed(witness.advance(same_interval.size, NOW)) == []
    assert signed(witness.advance(same_interval.size, NOW + 29)) == []
    assert signed(witness.advance(same_interval.size, NOW + 30)) == [same_interval.size]
    assert signed(witness.advance(same_interval.size, NOW + 99)) == []


def test_a_post_that_catches_up_signs_the_newest_few(network: TestNetwork, chain: Chain) -> None:
    witness = witness_of(network, chain, "DEL")
    sizes = [grow(network, chain, 31 * at).size for at in range(1, 10)]
    assert signed(witness.advance(chain.size, NOW)) == sizes[-NEWEST_PER_STEP:]


def test_a_restart_goes_on_where_the_sign_state_ends(network: TestNetwork, chain: Chain) -> None:
    first = grow(network, chain, 40)
    witness = witness_of(network, chain, "DEL")
    *_, state, _ = witness.advance(first.size, NOW)
    assert isinstance(state, act.SaveSignState)
    again = witness_of(network, chain, "DEL", state=state)
    assert [type(one) for one in again.start(NOW)] == [act.SendCosignature], "it may not have arrived"
    assert signed(again.advance(first.size, NOW)) == []
    second = grow(network, chain, 80)
    assert signed(again.advance(second.size, NOW)) == [second.size]


def test_before_two_posts_have_answered_nothing_is_signed(network: TestNetwork, chain: Chain) -> None:
    witness = Witness(chain, "DEL", network.posts["DEL"].cosigner)
    assert witness.start(NOW) == [act.AskOwnNewest(code) for code in ("DHA", "LON", "WAS")]
    witness.own_newest("DHA", 0, b"")
    witness.own_newest("DHA", 0, b"")
    assert witness.advance(chain.size, NOW) == [] and not witness.is_ready
    assert witness.advance(chain.size, NOW + SEND_AGAIN_SECONDS) == [act.AskOwnNewest("LON"), act.AskOwnNewest("WAS")]
    witness.own_newest("LON", 0, b"")
    assert signed(witness.advance(chain.size, NOW + SEND_AGAIN_SECONDS))


def test_in_a_large_network_those_who_keep_cosignatures_are_asked_first_and_more_each_time() -> None:
    missions = [f"P{first}{second}" for first in "ABC" for second in "ABCDEFGHIJ"]
    network = TestNetwork.make(("DHA", *missions), seed=7)
    witness = Witness(chain_of(network), "PBC", network.posts["PBC"].cosigner)
    after = [*missions[13:], *missions[:12]]
    asked = [witness.start(NOW)]
    for times in (1, 2, 3):
        asked.append(witness.advance(0, NOW + times * SEND_AGAIN_SECONDS))
    for most, actions in zip((8, 16, 30, 30), asked, strict=True):
        assert actions == [act.AskOwnNewest(code) for code in ["DHA", *after][:most]]


def test_before_headquarters_or_a_validator_has_answered_nothing_is_signed(network: TestNetwork, chain: Chain) -> None:
    """Only they are sent everybody's cosignatures: the word of others that they have none is worth little."""
    witness = Witness(chain, "DEL", network.posts["DEL"].cosigner)
    for code in ("LON", "WAS"):
        witness.own_newest(code, 0, b"")
    assert not witness.is_ready and signed(witness.advance(chain.size, NOW)) == []
    witness.own_newest("DHA", 0, b"")
    assert witness.is_ready and signed(witness.advance(chain.size, NOW))


def test_headquarters_as_the_only_validator_asks_any_two(network: TestNetwork, chain: Chain) -> None:
    witness = Witness(chain, "DHA", network.posts["DHA"].cosigner, log_signer=network.posts["DHA"].log)
    for code in ("LON", "WAS"):
        witness.own_newest(code, 0, b"")
    assert witness.is_ready


def test_a_restored_post_never_signs_below_what_others_have_of_it(network: TestNetwork, chain: Chain) -> None:
    old, newer = grow(network, chain, 40), grow(network, chain, 80)
    root = chain.machine.tree.root(newer.size)
    witness = witness_of(network, chain, "DEL")
    assert [type(one) for one in witness.own_newest("WAS", newer.size, root)] == [act.Alarm]
    assert signed(witness.advance(old.size, NOW)) == []
    assert signed(witness.advance(newer.size, NOW)) == [newer.size]


def test_a_restored_sequencer_orders_nothing_before_its_log_holds_what_it_has_signed(
    network: TestNetwork, chain: Chain
) -> None:
    witness = Witness(chain, "DHA", network.posts["DHA"].cosigner, log_signer=network.posts["DHA"].log)
    assert not witness.may_order, "nobody has answered"
    size = chain.size
    witness.own_newest("LON", 0, b"")
    alarm, fetch = witness.own_newest("WAS", size + 2, bytes(32))
    assert isinstance(alarm, act.Alarm) and fetch == act.FetchBlocks("WAS", size, size + 2)
    assert witness.is_ready and not witness.may_order
    grow(network, chain, 1)
    assert chain.size >= size + 2 and witness.may_order
    witness.stop("split-view")
    assert not witness.may_order


def test_another_root_than_the_one_signed_before_stops_it(network: TestNetwork, chain: Chain) -> None:
    block = grow(network, chain, 40)
    witness = witness_of(network, chain, "DEL")
    witness.own_newest("WAS", block.size, bytes(32))
    assert [type(one) for one in witness.advance(block.size, NOW)] == [act.Alarm, act.StopSigning]
    assert witness.stopped and witness.advance(block.size, NOW) == []


def test_a_changed_byte_in_the_store_stops_it(network: TestNetwork, chain: Chain) -> None:
    """The root in memory is right; the stored entry is not what it was."""
    block = grow(network, chain, 40)
    stored = log_of(chain).stored
    stored[block.start] = stored[block.start][:-1] + b"?"
    actions = witness_of(network, chain, "DEL").advance(block.size, NOW)
    assert actions[-2:] == [
        act.Alarm("log-damaged", "DEL", f"the stored log does not lead to the root at {block.size}"),
        act.StopSigning("log-damaged"),
    ]


def test_a_wrong_clock_does_not_cosign_and_says_so_once(network: TestNetwork, chain: Chain) -> None:
    witness = witness_of(network, chain, "DEL")
    assert witness.peer_clock("DHA", NOW + MAX_CLOCK_DIFFERENCE, NOW) == []
    assert witness.peer_clock("LON", NOW + 9999, NOW) != []
    assert witness.peer_clock("WAS", NOW + 9999, NOW) == []
    assert witness.advance(chain.size, NOW) == []
    for code in ("LON", "WAS"):
        witness.peer_clock(code, NOW + 1, NOW)
    assert signed(witness.advance(chain.size, NOW))


def test_a_line_is_sent_again_until_it_was_taken(network: TestNetwork, chain: Chain) -> None:
    witness = witness_of(network, chain, "DEL")
    [_, sent] = witness.advance(chain.size, NOW)
    assert witness.advance(chain.size, NOW + 1) == []
    assert witness.advance(chain.size, NOW + SEND_AGAIN_SECONDS) == [sent]
    witness.delivered("DHA", chain.size)
    assert witness.advance(chain.size, NOW + 3 * SEND_AGAIN_SECONDS) == []


def test_a_post_admitted_later_does_not_reopen_the_rollback_check() -> None:
    network = TestNetwork.make(("DHA", "DEL"), seed=7)
    chain = chain_of(network)
    keys = network.headquarters
    witness = Witness(chain, "DHA", keys.cosigner, log_signer=keys.log)
    assert signed(witness.advance(0, NOW)) == [chain.size]
    machine = chain.machine.fork()
    admitted = network.governance(machine, "post-admitted", post_card(post_keys(7, "LON")))
    log_of(chain).stored.extend(network.run(machine, admitted).leaves)
    chain.machine = machine
    assert signed(witness.advance(0, NOW + 1)) == [chain.size]
