"""Real nodes under the consensus engine: four validators and two followers, founded by the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.council import Council, deliver
from support.engines import built_engine
from support.posts import eventually

pytestmark = pytest.mark.xdist_group("engine")
COUNCIL = ("DEL", "DHA", "LON", "WAS")
FOLLOWERS = ("PAR", "TYO")
POSTS = ("DHA", "DEL", "LON", "WAS", *FOLLOWERS)
SUPERVISOR = "supervisor-1"


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Council]:
    built_engine()
    made = Council(tmp_path_factory.mktemp("council"), POSTS, COUNCIL)
    try:
        made.start()
        made.wait_ready()
        yield made
    finally:
        made.close()


def test_an_officer_and_a_cable_under_four_validators_one_of_which_dies_and_comes_back(council: Council) -> None:
    assert {council.status(code).role for code in COUNCIL} == {"validator"}
    assert {council.status(code).role for code in FOLLOWERS} == {"follower"}
    council.enrol("PAR", "officer", "drafter,releaser", "SECRET")
    council.enrol("TYO", "officer", "drafter,releaser", "SECRET")
    deliver(council, "PAR", "officer", "TYO", "officer")

    council.kill("LON")
    deliver(council, "TYO", "officer", "PAR", "officer")
    behind = council.status("DHA").log_size

    council.start("LON")
    council.wait_ready("LON")
    eventually(lambda: council.status("LON").log_size >= behind, 90.0)
    council.settle()
    assert len(council.roots()) == 1

    for code in POSTS:  # a power cut everywhere
        council.kill(code)
    council.start()
    council.wait_ready()
    deliver(council, "PAR", "officer", "TYO", "officer")
    council.settle()
    assert len(council.roots()) == 1


def govern(net: Council, kind: str, *options: str) -> None:
    """One act of the root holders, by the command line."""
    path, place = net.folder.parent / f"{kind}.json", net.at("DHA", SUPERVISOR)
    net.must("governance", "propose", kind, *options, "--out", path, *place)
    for number in (1, 2, 3):
        net.must("governance", "sign", path, "--root-key", net.folder / "roots" / f"root-{number}.key")
    net.must("governance", "submit", path, *place)


def test_a_living_solo_network_goes_over_to_comet_and_changes_its_validators(tmp_path: Path) -> None:
    built_engine()
    net = Council(tmp_path, ("DHA", "DEL", "LON", "WAS", "PAR"), ("DHA",))
    try:
        net.start()
        net.wait_ready()
        net.enrol("PAR", "officer", "drafter,releaser", "SECRET")
        deliver(net, "PAR", "officer", "LON", SUPERVISOR)
        net.settle()
        before = net.status("DHA")

        govern(net, "engine-changed", "--engine", "comet", "--posts", "DHA,DEL,LON,WAS")
        eventually(lambda: {net.status(code).role for code in COUNCIL} == {"validator"}, 90.0)
        deliver(net, "PAR", "officer", "LON", SUPERVISOR)
        net.settle()
        assert net.status("PAR").network_id == before.network_id

        govern(net, "validators-changed", "--posts", "DHA,DEL,LON,PAR,WAS")
        deliver(net, "PAR", "officer", "LON", SUPERVISOR)
        net.kill("WAS")
        deliver(net, "PAR", "officer", "LON", SUPERVISOR)
        net.start("WAS")
        net.wait_ready("WAS")
        net.settle()
        assert net.status("PAR").role == "validator"
        assert len(net.roots()) == 1
        back = ("--engine", "solo", "--posts", "DHA", "--out", tmp_path / "back.json", *net.at("DHA", SUPERVISOR))
        assert "[engine-stays]" in net("governance", "propose", "engine-changed", *back).err
        assert [net.stop(code) for code in net.codes] == [0] * 5
    finally:
        net.close()
