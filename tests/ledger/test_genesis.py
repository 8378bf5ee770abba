from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keys.possession import prove
from keys.public import SUITE_DUAL, SUITE_ED25519
from keys.signing import DirectVerifier
from ledger import genesis
from ledger.bodies import PostAdmitted
from ledger.entry import decode_leaf, encode_leaf
from ledger.machine import Machine
from ledger.parameters import EXERCISE_PARAMETERS
from ledger.roles import Clearance, Role
from protos.errors import DutabartaError
from support.network import FOUNDED_AT, TestNetwork, key_of, post_card, post_keys

CODES = ("DHA", "DEL", "LON")


def cards() -> dict[str, PostAdmitted]:
    return {code: post_card(post_keys(7, code), headquarters=code == "DHA") for code in CODES}


def arguments() -> dict[str, Any]:
    return {
        "name": "test.dutabarta",
        "exercise": True,
        "founded_at": FOUNDED_AT,
        "parameters": EXERCISE_PARAMETERS,
        "roots": [prove(key_of(7, f"root/{n}", SUITE_DUAL), "root") for n in range(3)],
        "posts": list(cards().values()),
        "validators": ["DHA"],
    }


def test_the_same_cards_give_the_same_bytes_in_any_order() -> None:
    given = arguments()
    turned = given | {"posts": given["posts"][::-1]}
    assert genesis.build(**given) == genesis.build(**turned)


def test_the_network_id_is_the_hash_of_leaf_0_and_begins_the_origin() -> None:
    leaves = genesis.build(**arguments())
    machine = Machine.found(leaves, (), DirectVerifier())
    assert machine.network_id == genesis.network_id_of(leaves[0])
    assert machine.origin == f"test.dutabarta/{machine.network_id[:16].hex()}"
    assert (machine.size, machine.blocks, machine.time) == (5, 1, FOUNDED_AT)


def test_founding_writes_posts_supervisors_and_governance() -> None:
    state = Machine.found(genesis.build(**arguments()), (), DirectVerifier()).state
    network = state.network()
    assert (network.governance_number, network.validators, network.engine) == (3, ("DHA",), "solo")
    assert state.codes() == ("DEL", "DHA", "LON")
    assert state.headquarters() == "DHA"
    post = state.active_post("LON")
    assert post.entry_key == post_keys(7, "LON").entry.public_key.key
    assert post.admitted_at == 3
    supervisors = state.active_with_role("LON", Role.SUPERVISOR)
    assert sorted(one.officer_id for one in supervisors) == list(state.roster("LON").officer_ids)
    assert {one.clearance for one in supervisors} == {Clearance.TOP_SECRET}
    assert all(one.has_role(Role.RELEASER) and one.has_role(Role.DRAFTER) for one in supervisors)


def with_same_certificate(posts: dict[str, PostAdmitted]) -> list[PostAdmitted]:
    return [replace(one, certificate=b"one for all") for one in posts.values()]


REFUSED: list[tuple[str, Callable[[dict[str, Any], dict[str, PostAdmitted]], dict[str, Any]]]] = [
    ("bad-name", lambda a, c: {"name": "Test"}),
    ("bad-name", lambda a, c: {"name": ""}),
    ("bad-time", lambda a, c: {"founded_at": -1}),
    ("bad-roots", lambda a, c: {"roots": []}),
    ("bad-roots", lambda a, c: {"roots": a["roots"] * 4}),
    ("known-key", lambda a, c: {"roots": [a["roots"][0]] * 3}),
    ("bad-parameters", lambda a, c: {"roots": a["roots"][:2]}),
    ("bad-parameters", lambda a, c: {"parameters": replace(a["parameters"], root_threshold=0)}),
    ("bad-parameters", lambda a, c: {"parameters": replace(a["parameters"], slot_seconds=0)}),
    ("unknown-rules", lambda a, c: {"parameters": replace(a["parameters"], rules_version=2)}),
    ("too-many-posts", lambda a, c: {"posts": []}),
    ("headquarters-count", lambda a, c: {"posts": [c["DEL"], c["LON"]], "validators": ["DEL"]}),
    ("headquarters-count", lambda a, c: {"posts": [replace(one, headquarters=True) for one in c.values()]}),
    ("known-post", lambda a, c: {"posts": [c["DHA"], c["DHA"]]}),
    ("bad-code", lambda a, c: {"posts": [*c.values(), replace(c["LON"], code="Lon")]}),
    ("bad-address", lambda a, c: {"posts": [c["DHA"], replace(c["LON"], address="nowhere")]}),
    ("bad-certificate", lambda a, c: {"posts": [c["DHA"], replace(c["LON"], certificate=b"")]}),
    ("bad-certificate", lambda a, c: {"posts": [c["DHA"], replace(c["LON"], certificate=bytes(601))]}),
    ("known-certificate", lambda a, c: {"posts": with_same_certificate(c)}),
    ("bad-supervisors", lambda a, c: {"posts": [c["DHA"], replace(c["LON"], supervisors=c["LON"].supervisors[:1])]}),
    ("bad-supervisors", lambda a, c: {"posts": [replace(c["DHA"], supervisors=c["DHA"].supervisors[:1] * 2)]}),
    ("known-officer", lambda a, c: {"posts": [c["DHA"], replace(c["LON"], supervisors=c["DHA"].supervisors)]}),
    ("known-key", lambda a, c: {"posts": [c["DHA"], replace(c["LON"], entry_key=c["DHA"].entry_key)]}),
    ("known-key", lambda a, c: {"posts": [replace(c["DHA"], log_key=c["DHA"].entry_key)]}),
    ("bad-signature", lambda a, c: {"posts": [c["DHA"], replace(c["LON"], entry_key=c["LON"].log_key, log_key=None)]}),
    ("wrong-suite", lambda a, c: {"posts": [c["DHA"], replace(c["LON"], cosigner_key=c["LON"].log_key, log_key=None)]}),
    ("unknown-post", lambda a, c: {"validators": ["XYZ"]}),
    ("bad-validator-count", lambda a, c: {"validators": []}),
    ("bad-validator-count", lambda a, c: {"validators": ["DHA", "DEL"]}),
    ("bad-validator-count", lambda a, c: {"validators": ["DHA", "DEL", "LON"]}),
    ("duplicate", lambda a, c: {"validators": ["DHA", "DHA"]}),
    ("no-log-key", lambda a, c: {"posts": [replace(c["DHA"], log_key=None)]}),
]


@pytest.mark.parametrize(("code", "change"), REFUSED, ids=[f"{n}-{code}" for n, (code, _) in enumerate(REFUSED)])
def test_a_founding_against_the_rules_is_refused_by_name(code: str, change: Any) -> None:
    given = arguments()
    with pytest.raises(DutabartaError) as caught:
        genesis.build(**given | change(given, cards()))
    assert caught.value.code == code


def test_a_key_proved_for_another_role_cannot_be_a_root() -> None:
    given = arguments()
    given["roots"][0] = prove(key_of(7, "root/0", SUITE_DUAL), "officer")
    with pytest.raises(DutabartaError) as caught:
        genesis.build(**given)
    assert caught.value.code == "bad-signature"


def test_four_validators_found_a_comet_network_and_need_consensus_keys() -> None:
    codes = ["DHA", "DEL", "LON", "PAR"]
    posts = [post_card(post_keys(7, code), headquarters=code == "DHA") for code in codes]
    given = arguments() | {"posts": posts, "validators": codes}
    assert Machine.found(genesis.build(**given), (), DirectVerifier()).state.network().engine == "comet"
    posts[1] = replace(posts[1], consensus_key=None)
    with pytest.raises(DutabartaError) as caught:
        genesis.build(**given)
    assert caught.value.code == "no-consensus-key"


def test_every_changed_byte_of_the_first_block_is_refused_or_another_network(net: TestNetwork) -> None:
    """Leaf 0 names the posts, and the record the state: a changed leaf is another network or none."""
    for number, leaf in enumerate(net.leaves):
        for position in range(0, len(leaf), max(1, len(leaf) // 40)):
            changed = bytearray(leaf)
            changed[position] ^= 1 << position % 8
            leaves = [*net.leaves]
            leaves[number] = bytes(changed)
            try:
                machine = Machine.found(leaves, (), net.verifier)
            except DutabartaError:
                continue
            assert number == 0
            assert machine.network_id != net.network_id


def test_missing_added_and_swapped_leaves_are_refused(net: TestNetwork) -> None:
    first, *posts, record = net.leaves
    fewer, swapped = [first, *posts[1:], record], [first, *posts[::-1], record]
    for leaves in ([], [first], [first, record], [first, *posts], fewer, swapped):
        with pytest.raises(DutabartaError):
            Machine.found(leaves, (), net.verifier)


def test_the_first_record_must_carry_the_founding_time_and_state(net: TestNetwork) -> None:
    record = decode_leaf(net.leaves[-1])
    for changed in (replace(record, time=record.time + 1), replace(record, state_root=bytes(32))):  # type: ignore[type-var,union-attr]
        with pytest.raises(DutabartaError) as caught:
            Machine.found([*net.leaves[:-1], encode_leaf(changed)], (), net.verifier)  # type: ignore[arg-type]
        assert caught.value.code == "bad-founding"


def test_ed25519_entry_keys_of_small_order_do_not_enter() -> None:
    posts = cards()
    bad = replace(posts["LON"].entry_key, key=replace(posts["LON"].entry_key.key, key=bytes([1]) + bytes(31)))
    assert bad.key.suite == SUITE_ED25519
    with pytest.raises(DutabartaError) as caught:
        genesis.build(**arguments() | {"posts": [posts["DHA"], replace(posts["LON"], entry_key=bad)]})
    assert caught.value.code == "key-point"
