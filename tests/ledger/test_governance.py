from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from keys.possession import prove
from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44
from ledger import bodies
from ledger.bodies import NodeKeyChanged, ParametersChanged, PostRetired, RootChanged, ValidatorsChanged
from ledger.entry import decode_entry_leaf, encode_entry, make_leaf
from ledger.machine import Change, Machine
from ledger.parameters import EXERCISE_PARAMETERS
from ledger.roles import Role
from support.network import TestNetwork, post_card, post_keys

Refuses = Callable[[Machine, bytes, str], None]

SLOWER = ParametersChanged(replace(EXERCISE_PARAMETERS, slot_seconds=60))


# --- approvals -------------------------------------------------------------------------------------------


def test_exactly_k_root_approvals_change_the_parameters(net: TestNetwork, machine: Machine) -> None:
    net.run(machine, net.governance(machine, "parameters", SLOWER))
    assert machine.state.parameters().slot_seconds == 60
    assert machine.state.network().governance_number == 5


@pytest.mark.parametrize(("count", "code"), [(0, "wrong-approvals"), (2, "wrong-approvals"), (4, "wrong-approvals")])
def test_too_few_or_too_many_approvals_are_refused(
    net: TestNetwork, machine: Machine, refuses: Refuses, count: int, code: str
) -> None:
    refuses(machine, net.entry("parameters", 5, SLOWER, None, net.roots[:count]), code)


def test_a_key_that_is_no_root_does_not_approve(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    supervisor = net.headquarters.supervisors[0].signer
    refuses(machine, net.entry("parameters", 5, SLOWER, None, [*net.roots[:2], supervisor]), "wrong-approvals")
    refuses(machine, net.entry("parameters", 5, SLOWER, None, [*net.roots[:3], supervisor]), "extra-signature")


def test_approvals_have_one_order(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    read = decode_entry_leaf(net.governance(machine, "parameters", SLOWER))
    last = max(one.key_id for one in read.signatures)
    refuses(machine, make_leaf(read.signed, read.signatures, author=last), "signature-order")


@pytest.mark.parametrize("number", [1, 4, 6, 2**40])
def test_governance_is_numbered_without_a_gap(
    net: TestNetwork, machine: Machine, refuses: Refuses, number: int
) -> None:
    refuses(machine, net.entry("parameters", number, SLOWER, None, net.roots[:3]), "wrong-sequence")


def test_an_approval_counts_once_or_never(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    leaf = net.governance(machine, "parameters", SLOWER)
    back = net.entry("parameters", 6, ParametersChanged(EXERCISE_PARAMETERS), None, net.roots[:3])
    net.run(machine, leaf, back)
    refuses(machine, leaf, "wrong-sequence")


def test_an_approval_for_another_body_does_not_hold(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    approved = decode_entry_leaf(net.governance(machine, "parameters", SLOWER))
    other = encode_entry("parameters", 5, ParametersChanged(replace(EXERCISE_PARAMETERS, slot_seconds=61)))
    refuses(machine, make_leaf(other, approved.signatures), "bad-signature")


def test_an_approval_of_another_network_does_not_hold(machine: Machine, refuses: Refuses) -> None:
    other = TestNetwork.make(seed=1, root_count=5)
    other_machine = other.machine()
    assert other_machine.network_id != machine.network_id
    refuses(machine, other.governance(other_machine, "parameters", SLOWER), "bad-signature")


# --- parameters and roots --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "nothing-changed"),
        ({"rules_version": 2}, "unknown-rules"),
        ({"root_threshold": 6}, "bad-parameters"),
        ({"mission_quorum": 7}, "bad-parameters"),
        ({"slot_seconds": 0}, "bad-parameters"),
        ({"stale_seconds": 59}, "bad-parameters"),
        ({"answer_seconds": (600, 600, 600)}, "bad-parameters"),
        ({"answer_seconds": (86_400, 600, 600, 59)}, "bad-parameters"),
        ({"answer_seconds": (86_400, 600, 600, 30 * 86_400 + 1)}, "bad-parameters"),
        ({"cosign_seconds": 2**32 - 1}, "bad-parameters"),
    ],
)
def test_parameters_stay_within_their_bounds(
    net: TestNetwork, machine: Machine, refuses: Refuses, change: dict[str, int], code: str
) -> None:
    body = ParametersChanged(replace(EXERCISE_PARAMETERS, **change))  # type: ignore[arg-type]
    refuses(machine, net.governance(machine, "parameters", body), code)


def test_a_root_is_replaced_by_k_old_roots_and_the_new_key(
    net: TestNetwork, machine: Machine, refuses: Refuses
) -> None:
    new = net.fresh(SUITE_DUAL)
    old = net.roots[4].public_key
    body = RootChanged(old.key_id, prove(new, "root"))
    refuses(machine, net.governance(machine, "root-changed", body), "missing-signature")
    net.run(machine, net.governance(machine, "root-changed", body, new))
    roots = machine.state.network().roots
    assert roots == (*(one.public_key for one in net.roots[:4]), new.public_key)
    refuses(machine, net.entry("parameters", 6, SLOWER, None, [*net.roots[:2], net.roots[4]]), "wrong-approvals")
    net.run(machine, net.entry("parameters", 6, SLOWER, None, [*net.roots[:2], new]))


def test_a_root_that_is_none_cannot_be_replaced(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    new = net.fresh(SUITE_DUAL)
    body = RootChanged(bytes(32), prove(new, "root"))
    refuses(machine, net.governance(machine, "root-changed", body, new), "unknown-root")


def test_a_known_key_does_not_become_a_root(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    known = net.headquarters.supervisors[0].signer
    body = RootChanged(net.roots[4].public_key.key_id, prove(known, "root"))
    refuses(machine, net.governance(machine, "root-changed", body, known), "known-key")


# --- posts -----------------------------------------------------------------------------------------------


def test_a_post_is_admitted_later_and_its_supervisors_with_it(net: TestNetwork, machine: Machine) -> None:
    card = post_card(post_keys(net.seed, "NYC"))
    index = net.run(machine, net.governance(machine, "post-admitted", card)).results[0].index
    state = machine.state
    assert state.active_post("NYC").admitted_at == index
    assert "NYC" in state.codes()
    assert len(state.active_with_role("NYC", Role.SUPERVISOR)) == 2
    assert state.owner(post_keys(net.seed, "NYC").log.public_key.key_id) == "post/NYC"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"code": "LON"}, "known-post"),
        ({"code": "ny1"}, "bad-code"),
        ({"code": "ÉLN"}, "bad-code"),
        ({"headquarters": True}, "second-headquarters"),
        ({"address": "new york:1"}, "bad-address"),
        ({"address": "host:0"}, "bad-address"),
        ({"address": "host:65536"}, "bad-address"),
        ({"address": "h" * 250 + ":65535"}, "bad-address"),
        ({"certificate": b""}, "bad-certificate"),
        ({"certificate": bytes(601)}, "bad-certificate"),
        ({"supervisors": ()}, "bad-supervisors"),
    ],
)
def test_a_post_against_the_rules_is_not_admitted(
    net: TestNetwork, machine: Machine, refuses: Refuses, change: dict[str, object], code: str
) -> None:
    card = replace(post_card(post_keys(net.seed, "NYC")), **change)  # type: ignore[arg-type]
    refuses(machine, net.governance(machine, "post-admitted", card), code)


def test_a_post_without_a_required_key_is_refused(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    card = replace(post_card(post_keys(net.seed, "NYC")), entry_key=None)  # type: ignore[arg-type]
    refuses(machine, net.governance(machine, "post-admitted", card), "missing-field")


def test_a_retired_post_acts_no_more_and_its_code_is_not_used_again(
    net: TestNetwork, machine: Machine, refuses: Refuses
) -> None:
    officer = net.enrol_officer(machine, "WAS")
    net.run(machine, net.governance(machine, "post-retired", PostRetired("WAS")))
    assert machine.state.post("WAS").retired_at == machine.size - 2  # type: ignore[union-attr]
    assert machine.state.active_with_role("WAS", Role.SUPERVISOR) == ()
    assert not machine.state.may_act(officer.officer_id)
    refuses(machine, net.batch(machine, "WAS"), "retired-post")
    refuses(machine, net.governance(machine, "post-retired", PostRetired("WAS")), "retired-post")
    card = post_card(post_keys(99, "WAS"))
    refuses(machine, net.governance(machine, "post-admitted", card), "known-post")


@pytest.mark.parametrize(
    ("code", "name"), [("DHA", "headquarters-stays"), ("XYZ", "unknown-post"), ("", "unknown-post")]
)
def test_headquarters_and_strangers_are_not_retired(
    net: TestNetwork, machine: Machine, refuses: Refuses, code: str, name: str
) -> None:
    refuses(machine, net.governance(machine, "post-retired", PostRetired(code)), name)


@pytest.mark.parametrize(
    ("role", "suite"), [("cosigner", SUITE_MLDSA44), ("log", SUITE_ED25519), ("consensus", SUITE_ED25519)]
)
def test_a_node_key_is_replaced_by_the_roots(net: TestNetwork, machine: Machine, role: str, suite: int) -> None:
    key = net.fresh(suite)
    net.run(machine, net.governance(machine, "node-key-changed", NodeKeyChanged("DEL", role, prove(key, role))))
    before, after = net.machine().state.active_post("DEL"), machine.state.active_post("DEL")
    assert after == replace(before, **{f"{role}_key": key.public_key.key})


def test_node_keys_against_the_rules_are_refused(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    def attempt(code: str, role: str, key: bodies.NodeKeyChanged, name: str) -> None:
        refuses(machine, net.governance(machine, "node-key-changed", replace(key, code=code, role=role)), name)

    log = NodeKeyChanged("", "", prove(net.fresh(SUITE_ED25519), "log"))
    attempt("DEL", "entry", log, "unknown-key-role")
    attempt("XYZ", "log", log, "unknown-post")
    attempt("DEL", "consensus", log, "bad-signature")
    attempt("DEL", "cosigner", log, "wrong-suite")
    attempt("DEL", "log", NodeKeyChanged("", "", prove(net.posts["LON"].log, "log")), "known-key")


# --- validators ------------------------------------------------------------------------------------------


def test_new_validators_are_in_force_two_blocks_later(council: TestNetwork) -> None:
    machine = council.machine()
    new = ("DEL", "DHA", "LON", "PAR")
    council.run(machine, council.governance(machine, "validators-changed", ValidatorsChanged(new)))
    changed_in = machine.size - 2
    assert machine.state.network().pending[0].validators == new
    council.run(machine, council.batch(machine, "ROM"))
    assert machine.state.network().validators == ("DEL", "DHA", "LON", "WAS")
    last_old_size = machine.size
    council.run(machine, council.batch(machine, "ROM"))
    network = machine.state.network()
    assert (network.validators, network.pending) == (new, ())
    assert machine.changes == (Change(changed_in, is_entry=True), Change(last_old_size, is_entry=False))


@pytest.mark.parametrize(
    ("validators", "code"),
    [
        (("DEL", "DHA", "LON"), "bad-validator-count"),
        (("DEL", "DHA"), "bad-validator-count"),
        ((), "bad-validator-count"),
        (("DHA",), "too-much-power"),
        (("DEL", "DHA", "PAR", "ROM"), "too-much-power"),
        (("DEL", "DHA", "LON", "PAR", "ROM", "WAS"), "too-much-power"),
        (("DHA", "DEL", "LON", "PAR"), "unsorted"),
        (("DEL", "DEL", "DHA", "LON"), "duplicate"),
        (("DEL", "DHA", "LON", "XYZ"), "unknown-post"),
        (("DEL", "DHA", "LON", "WAS"), "nothing-changed"),
    ],
)
def test_a_set_that_the_engine_would_choke_on_is_refused(
    council: TestNetwork, refuses: Refuses, validators: tuple[str, ...], code: str
) -> None:
    machine = council.machine()
    refuses(machine, council.governance(machine, "validators-changed", ValidatorsChanged(validators)), code)


def test_one_change_of_validators_at_a_time(council: TestNetwork, refuses: Refuses) -> None:
    machine = council.machine()
    first = council.governance(machine, "validators-changed", ValidatorsChanged(("DEL", "DHA", "LON", "PAR")))
    body = ValidatorsChanged(("DEL", "DHA", "LON", "ROM"))
    second = council.entry("validators-changed", 8, body, None, council.roots[:3])
    results = machine.apply_block([first, second], machine.time + 1).results
    assert [one.code for one in results] == ["accepted", "validators-pending"]
    refuses(machine, second, "validators-pending")


def test_a_validator_present_or_coming_is_not_retired(council: TestNetwork, refuses: Refuses) -> None:
    machine = council.machine()
    refuses(machine, council.governance(machine, "post-retired", PostRetired("LON")), "validator-stays")
    body = ValidatorsChanged(("DEL", "DHA", "LON", "PAR"))
    council.run(machine, council.governance(machine, "validators-changed", body))
    refuses(machine, council.governance(machine, "post-retired", PostRetired("PAR")), "validator-stays")
    council.run(machine, council.governance(machine, "post-retired", PostRetired("ROM")))


def test_solo_has_one_validator_but_may_change_it(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    four = ValidatorsChanged(("DEL", "DHA", "LON", "WAS"))
    refuses(machine, net.governance(machine, "validators-changed", four), "bad-validator-count")
    net.run(machine, net.governance(machine, "validators-changed", ValidatorsChanged(("DEL",))))


def test_a_post_without_the_keys_of_a_validator_is_none(council: TestNetwork, refuses: Refuses) -> None:
    machine = council.machine()
    for code, missing, name in (("NYC", "log_key", "no-log-key"), ("OSL", "consensus_key", "no-consensus-key")):
        card = replace(post_card(post_keys(council.seed, code)), **{missing: None})
        council.run(machine, council.governance(machine, "post-admitted", card))
        body = ValidatorsChanged(tuple(sorted(("DEL", "DHA", "LON", code))))
        refuses(machine, council.governance(machine, "validators-changed", body), name)


# --- engine ----------------------------------------------------------------------------------------------


def engine_change(machine: Machine, **change: object) -> bodies.EngineChanged:
    body = bodies.EngineChanged("comet", machine.size, machine.root, machine.state.root, ("DEL", "DHA", "LON", "WAS"))
    return replace(body, **change)  # type: ignore[arg-type]


def test_the_engine_changes_at_exactly_this_log(net: TestNetwork, machine: Machine) -> None:
    net.run(machine, net.governance(machine, "engine-changed", engine_change(machine)))
    network = machine.state.network()
    assert (network.engine, network.validators) == ("comet", ("DEL", "DHA", "LON", "WAS"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"size": 5}, "wrong-anchor"),
        ({"root": bytes(32)}, "wrong-anchor"),
        ({"state_root": bytes(32)}, "wrong-anchor"),
        ({"engine": "raft"}, "unknown-engine"),
        ({"engine": "solo"}, "bad-validator-count"),
        ({"validators": ("DEL", "DHA", "LON", "XYZ")}, "unknown-post"),
    ],
)
def test_an_engine_change_of_another_log_is_refused(
    net: TestNetwork, machine: Machine, refuses: Refuses, change: dict[str, object], code: str
) -> None:
    refuses(machine, net.governance(machine, "engine-changed", engine_change(machine, **change)), code)


def test_an_engine_change_stands_first_in_its_block(net: TestNetwork, machine: Machine) -> None:
    late = net.governance(machine, "engine-changed", engine_change(machine))
    results = machine.apply_block([net.batch(machine, "DEL"), late], machine.time + 1).results
    assert [one.code for one in results] == ["accepted", "wrong-anchor"]


# --- trust chain -----------------------------------------------------------------------------------------


def test_every_governance_entry_and_no_other_extends_the_trust_chain(net: TestNetwork, machine: Machine) -> None:
    heads = [machine.state.network().trust_head]
    assert heads == [bytes(32)]
    net.run(machine, net.batch(machine, "DEL"))
    assert machine.state.network().trust_head == heads[0]
    net.run(machine, net.governance(machine, "parameters", SLOWER))
    net.run(machine, net.governance(machine, "post-retired", PostRetired("WAS")))
    network = machine.state.network()
    assert network.trust_count == 2
    assert network.trust_head not in heads
