"""A terminal's policy follows the ledger's validators, cosigner keys and posts, and no lying node leads it astray."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli import founding
from cli.plan import PlannedPost
from keys.keystore import Cost
from keys.possession import prove
from keys.public import SUITE_MLDSA44
from keys.signing import SoftwareSigner
from ledger.bodies import NodeKeyChanged, ValidatorsChanged
from ledger.network_policy import policy_text
from node.secrets import load_node_keys
from protos.errors import Unavailable
from support.ministry import PASSPHRASE, Ministry, Officers
from terminal.compose import Composition
from terminal.records import CableRecord
from terminal.terminal import Terminal
from terminal.view import DoubtfulNode


def change_cosigner(ministry: Ministry, code: str) -> None:
    """A new cosigner key of a post, which signs from now on."""
    key = SoftwareSigner.generate(SUITE_MLDSA44)
    ministry.govern("node-key-changed", NodeKeyChanged(code, "cosigner", prove(key, "cosigner")))
    ministry.keys[code] = replace(ministry.keys[code], cosigner=key)


def send(sender: Terminal) -> CableRecord:
    return sender.send(Composition(("DEL",), 1, 1, "Trade", "Text."))


def true_policy(ministry: Ministry) -> str:
    return policy_text(ministry.machine.state, ministry.machine.origin)


def asked(terminal: Terminal) -> int:
    """How often the node was asked for its trust file."""
    return terminal.session.desk.calls.count("trust_file")  # type: ignore[attr-defined, no-any-return]


def test_without_a_change_of_governance_nothing_is_fetched(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    send(sender)
    sender.sync()
    assert asked(sender) == 0 and sender.session.folder.load_trust() is None


@pytest.mark.parametrize("code", ["DHA", "DEL", "WAS"])
def test_a_changed_cosigner_key_is_taken_up(ministry: Ministry, officer: Officers, code: str) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    before = send(sender)
    ministry.close_slot()
    assert sender.proof(before.cable_id).item.post == "DHA"
    change_cosigner(ministry, code)
    after = send(sender)
    ministry.close_slot()
    assert reader.sync().cables == 2
    for terminal in (sender, reader):
        terminal.sync()
        assert asked(terminal) == 1
        assert terminal.session.folder.load_policy() == true_policy(ministry)
        for one in (before, after):
            assert terminal.proof(one.cable_id).item.post == "DHA"


def test_a_new_post_stands_in_the_policy(ministry: Ministry, officer: Officers) -> None:
    home = ministry.folder / "ROM"
    post = PlannedPost("ROM", ("first", "second"), False)
    made = founding.make_post(home, post, "127.0.0.1:7000", False, PASSPHRASE, Cost.EXERCISE)
    ministry.govern("post-admitted", made.admitted)
    ministry.keys["ROM"] = load_node_keys(home / "node" / "keys")
    reader = officer("DEL")
    reader.sync()
    assert reader.session.folder.load_policy() == true_policy(ministry)
    assert "\nwitness ROM " in reader.session.folder.load_policy()


def test_another_validator_is_taken_up_when_it_comes_into_force(ministry: Ministry, officer: Officers) -> None:
    reader, other = officer("DEL"), officer("WAS")
    reader.sync()
    ministry.govern("validators-changed", ValidatorsChanged(("DEL",)))
    for _ in range(3):
        other.publish_prekey()
        reader.sync()
    assert ministry.machine.state.network().validators == ("DEL",)
    assert reader.session.folder.load_policy() == true_policy(ministry)
    assert asked(reader) == 2  # once for the decision, once for its coming into force


def test_what_was_learnt_outlives_the_program(ministry: Ministry, officer: Officers) -> None:
    change_cosigner(ministry, "DHA")
    officer("DEL").sync()
    officer.close()
    again = officer("DEL")
    again.sync()
    assert asked(again) == 0


def test_an_old_trust_file_is_refused_and_changes_nothing(ministry: Ministry, officer: Officers) -> None:
    reader = officer("DEL")
    change_cosigner(ministry, "WAS")
    old = ministry.trust_file()
    officer("WAS").publish_prekey()
    reader.sync()
    kept, policy = reader.session.folder.load_trust(), reader.session.folder.load_policy()
    for code in ("WAS", "DHA"):  # the first still meets the old policy, the second does not
        change_cosigner(ministry, code)
        reader.session.desk.trust_file = lambda: old  # type: ignore[method-assign]
        with pytest.raises(DoubtfulNode) as problem:
            reader.sync()
        assert problem.value.code == "older-state"
        assert (reader.session.folder.load_trust(), reader.session.folder.load_policy()) == (kept, policy)
    reader.session.desk.trust_file = ministry.trust_file  # type: ignore[method-assign]
    reader.sync()
    assert reader.session.folder.load_policy() == true_policy(ministry)


def test_a_trust_file_of_another_network_or_no_trust_file_is_refused(
    ministry: Ministry, officer: Officers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    foreign = Ministry(tmp_path_factory.mktemp("foreign"), ("DHA", "DEL", "WAS")).trust_file()
    reader = officer("DEL")
    change_cosigner(ministry, "DHA")
    for data, code in ((foreign, "wrong-network"), (b"\xff" * 9, "malformed")):
        reader.session.desk.trust_file = lambda data=data: data  # type: ignore[method-assign, misc]
        with pytest.raises(DoubtfulNode) as problem:
            reader.sync()
        assert problem.value.code == code
    assert reader.session.folder.load_trust() is None


def test_a_trust_file_out_of_reach_stops_nobody_whose_policy_is_still_met(
    ministry: Ministry, officer: Officers
) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    policy = reader.session.folder.load_policy()
    change_cosigner(ministry, "WAS")

    def unreachable() -> bytes:
        raise Unavailable("timeout", "the node took too long")

    for terminal in (sender, reader):
        terminal.session.desk.trust_file = unreachable  # type: ignore[method-assign]
    send(sender)
    assert reader.sync().cables == 1 and reader.session.folder.load_policy() == policy
    reader.session.desk.trust_file = ministry.trust_file  # type: ignore[method-assign]
    reader.sync()
    assert reader.session.folder.load_policy() == true_policy(ministry)
