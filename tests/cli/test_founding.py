"""Founding a network: from cards carried by hand, or all here; and what the roots decide afterwards."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.enrolment import read_request
from cli.plan import parse_plan
from keys.keystore import Cost, is_exercise_keystore
from keys.signing import DirectVerifier
from ledger.genesis import found
from ledger.logfile import leaves_of, read_log
from node.secrets import load_node_keys
from protos.errors import Malformed

if TYPE_CHECKING:
    from support.commands import Commands

ROOT_COUNT = 3


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keystores that cost nothing, where the commands would make full ones."""
    monkeypatch.setattr(Cost.FULL, "_value_", (0, 64, 1))


@pytest.fixture
def carried(dutabarta: Commands, tmp_path: Path, cheap: None) -> tuple[Path, list[Path]]:
    """network.toml of two posts, and the cards that they and three root holders have carried to HQ."""
    plan = tmp_path / "network.toml"
    plan.write_text(dutabarta("network", "template", "--posts", "DHA,DEL").out)
    cards = []
    for number, code in enumerate(("DHA", "DEL")):
        cards.append(tmp_path / f"{code}.card")
        address = ("--address", f"{code.lower()}.example:{7400 + number}")
        cards[-1].write_text(dutabarta("post", "keygen", "--post", code, "--home", tmp_path / code, *address).out)
    for number in range(ROOT_COUNT):
        cards.append(tmp_path / f"root-{number}.card")
        cards[-1].write_text(dutabarta("governance", "keygen", "--out", tmp_path / f"root-{number}.key").out)
    return plan, cards


def test_the_same_cards_give_the_same_bytes(
    dutabarta: Commands, tmp_path: Path, carried: tuple[Path, list[Path]]
) -> None:
    plan, cards = carried
    one = dutabarta("network", "init", plan, "--cards", *cards, "--out", tmp_path / "one", "--json").data
    two = dutabarta("network", "init", plan, "--cards", *reversed(cards), "--out", tmp_path / "two", "--json").data
    assert one["network_id"] == two["network_id"] == one["digest"].replace(" ", "")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with (tmp_path / "one").open("rb") as file:
        founding = found(tuple(leaves_of(read_log(file))), DirectVerifier())
    assert not founding.genesis.exercise and founding.state.headquarters() == "DHA"


def test_a_missing_card_is_named(dutabarta: Commands, tmp_path: Path, carried: tuple[Path, list[Path]]) -> None:
    plan, cards = carried
    said = dutabarta("network", "init", plan, "--cards", *cards[1:], "--out", tmp_path / "genesis")
    assert said.code == 1 and "DHA" in said.err and "wrong-cards" in said.err and not (tmp_path / "genesis").exists()


def test_a_post_settles_in_the_network_it_was_founded_with(
    dutabarta: Commands, tmp_path: Path, carried: tuple[Path, list[Path]]
) -> None:
    plan, cards = carried
    dutabarta("network", "init", plan, "--cards", *cards, "--out", tmp_path / "genesis")
    home = tmp_path / "DEL"
    joined = dutabarta(
        "node", "join", "--home", home, "--genesis", tmp_path / "genesis", "--peer", "127.0.0.1:7777", "--json"
    )
    assert joined.data["post"] == "DEL"
    assert tomllib.loads((home / "node" / "config.toml").read_text())["peers"] == {"DHA": "127.0.0.1:7777"}
    assert sorted(one.name for one in (home / "node" / "intake").glob("*.entry")) == [f"{n:03}.entry" for n in range(4)]
    assert {one.name for one in (home / "terminals").iterdir()} == {"supervisor-1", "supervisor-2"}


def test_another_networks_genesis_settles_nobody(
    dutabarta: Commands, tmp_path: Path, carried: tuple[Path, list[Path]]
) -> None:
    foreign = dutabarta.ministry.folder / "DHA" / "node" / "genesis.log"
    said = dutabarta("node", "join", "--home", tmp_path / "DEL", "--genesis", foreign)
    assert said.code == 1 and "not-in-genesis" in said.err
    assert not (tmp_path / "DEL" / "node" / "genesis.log").exists()


def test_an_exercise_is_marked_and_ready_to_run(dutabarta: Commands, tmp_path: Path) -> None:
    plan = tmp_path / "network.toml"
    plan.write_text(dutabarta("network", "template", "--posts", "DHA,DEL,WAS").out)
    made = dutabarta("network", "init", plan, "--all-here", tmp_path / "net", "--json").data
    assert set(made) >= {"network_id", "genesis", "posts"} and made["posts"] == ["DHA", "DEL", "WAS"]
    assert len(set(made["addresses"].values())) == 3
    with Path(made["genesis"]).open("rb") as file:
        founding = found(tuple(leaves_of(read_log(file))), DirectVerifier())
    assert founding.genesis.exercise and founding.network_id.hex() == made["network_id"]
    assert founding.genesis.parameters.slot_seconds == 5 and not founding.genesis.parameters.filled_slots
    assert len(list((tmp_path / "net" / "roots").iterdir())) == 5
    keystore = tmp_path / "net" / "DEL" / "terminals" / "supervisor-1" / "keystore"
    assert is_exercise_keystore(keystore.read_bytes())


def test_a_real_posts_keystores_cost_the_full_price(
    dutabarta: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[Cost] = []

    def made(*arguments: object) -> object:
        costs.extend(one for one in arguments if isinstance(one, Cost))
        raise Malformed("stopped", "here", hint="enough seen")

    monkeypatch.setattr("cli.founding.make_post", made)
    dutabarta("post", "keygen", "--post", "DEL", "--home", tmp_path / "DEL", "--address", "del.example:7400")
    assert costs == [Cost.FULL]


def test_a_post_makes_its_keys_once(dutabarta: Commands, tmp_path: Path, cheap: None) -> None:
    keygen = ("post", "keygen", "--post", "DEL", "--home", tmp_path / "DEL", "--address", "del.example:7400")
    assert dutabarta(*keygen).code == 0
    said = dutabarta(*keygen)
    assert said.code == 1 and "keys-exist" in said.err


GOOD_PLAN = (
    'name = "x"\nfounded_at = 1\nheadquarters = "DEL"\nvalidators = ["DEL"]\n[posts.DEL]\nsupervisors = ["a", "b"]'
)


def test_a_plan_is_read() -> None:
    assert parse_plan(GOOD_PLAN).codes == ("DEL",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name = 3",
        GOOD_PLAN.replace('headquarters = "DEL"', 'headquarters = "DHA"'),
        GOOD_PLAN.replace('validators = ["DEL"]', 'validators = ["DHA"]'),
        GOOD_PLAN.replace('"a", "b"', '"a", "a"'),
        GOOD_PLAN.replace('"a", "b"', "1, 2"),
        GOOD_PLAN.replace("founded_at = 1", 'founded_at = "1"'),
        "more = 1\n" + GOOD_PLAN,
        GOOD_PLAN + "\nmore = 1",
    ],
)
def test_a_plan_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as problem:
        parse_plan(text)
    assert problem.value.code == "bad-plan"


def test_roots_change_a_parameter(dutabarta: Commands, tmp_path: Path) -> None:
    proposal = tmp_path / "p.json"
    desk = dutabarta.at("DHA")
    proposed = dutabarta("governance", "propose", "parameters", "--set", "slot_seconds=300", "--out", proposal, *desk)
    assert proposed.code == 0
    early = dutabarta("governance", "submit", proposal, *desk)
    assert early.code == 1 and "wrong-approvals" in early.err
    for number in range(ROOT_COUNT):
        key = dutabarta.ministry.folder / f"root-{number}"
        signed = dutabarta("governance", "sign", proposal, "--root-key", key, "--json").data
        assert signed["approvals"] == number + 1
    again = dutabarta("governance", "sign", proposal, "--root-key", dutabarta.ministry.folder / "root-0")
    assert again.code == 1 and "signed-already" in again.err
    assert dutabarta("governance", "submit", proposal, *desk).code == 0
    listed = dutabarta("governance", "list", *desk, "--json").data
    assert listed["parameters"]["slot_seconds"] == 300 and listed["number"] == 4


@pytest.mark.parametrize("change", ["slot_seconds", "slot_seconds=x", "nothing=1"])
def test_a_change_that_means_nothing_is_wrong_usage(dutabarta: Commands, tmp_path: Path, change: str) -> None:
    said = dutabarta(
        "governance", "propose", "parameters", "--set", change, "--out", tmp_path / "p", *dutabarta.at("DHA")
    )
    assert said.code == 2 and not (tmp_path / "p").exists()


def test_a_post_is_retired_and_no_cable_goes_there(dutabarta: Commands, tmp_path: Path) -> None:
    proposal = tmp_path / "p.json"
    desk = dutabarta.at("DHA")
    assert dutabarta("governance", "propose", "post-retired", "--post", "WAS", "--out", proposal, *desk).code == 0
    for number in range(ROOT_COUNT):
        dutabarta("governance", "sign", proposal, "--root-key", dutabarta.ministry.folder / f"root-{number}")
    submitted = dutabarta("governance", "submit", proposal, *desk)
    assert submitted.code == 0, submitted.err
    said = dutabarta.send("DHA", "WAS")
    assert said.code == 1 and "unknown-post" in said.err


def test_a_posts_cosigner_key_is_replaced_from_a_new_card(dutabarta: Commands, tmp_path: Path, cheap: None) -> None:
    proposal, desk, new = tmp_path / "p.json", dutabarta.at("DHA"), tmp_path / "new"
    made = dutabarta("post", "keygen", "--post", "WAS", "--home", new, "--address", "was.example:7400", "--json").data
    card = tmp_path / "new.card"
    card.write_text(made["card"])
    propose = ("governance", "propose", "node-key-changed", "--card", card, "--out", proposal, *desk)
    assert dutabarta(*propose, "--key", "consensus").code == 0
    assert dutabarta(*propose, "--key", "cosigner").code == 0
    for number in range(ROOT_COUNT):
        dutabarta("governance", "sign", proposal, "--root-key", dutabarta.ministry.folder / f"root-{number}")
    leaf = read_request(proposal).entries[0].leaf()
    assert dutabarta.ministry.enter(leaf).code == "accepted"
    key = load_node_keys(new / "node" / "keys").cosigner.public_key.key
    assert dutabarta.ministry.machine.state.active_post("WAS").cosigner_key == key
