"""What several validators need of a node: a consensus key, the engine's address, and a note that makes a size final."""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.possession import check_proven
from keys.public import SUITE_ED25519
from keys.signing import DirectVerifier
from ledger.cosignature import cosign, cosigner_name
from node import actions as act
from node.chain import Chain
from node.collect import Collector
from node.config import EngineSettings, NodeConfig, format_config, parse_config
from node.follow import Follower
from node.secrets import create_node_keys, load_node_keys
from node.shell.comet import EnginePlace, next_port
from node.splitview import SplitViews
from protos.errors import Malformed
from support.chains import chain_of, grow
from support.network import TestNetwork

COUNCIL = ("DEL", "DHA", "LON", "WAS")
PLAIN = NodeConfig("DHA", "0.0.0.0:7400", "dha.example:7400")


@pytest.fixture(scope="module")
def network() -> TestNetwork:
    return TestNetwork.make(("DHA", "DEL", "LON", "WAS", "PAR"), seed=51, validators=COUNCIL)


def line_of(network: TestNetwork, chain: Chain, code: str) -> bytes:
    checkpoint = chain.checkpoint(chain.size)
    name = cosigner_name(checkpoint.origin, code)
    return cosign(network.posts[code].cosigner, name, checkpoint, 9).encode().encode()


def test_a_quorum_of_validators_is_shown_once_and_makes_the_size_final_elsewhere(network: TestNetwork) -> None:
    chain = chain_of(network)
    founding = chain.size
    size = grow(network, chain, code="PAR").size
    collector = Collector(chain, SplitViews())
    elsewhere = Follower(chain, SplitViews(), founding)

    def send(code: str) -> list[act.Action]:
        return collector.line_received(code, size, chain.machine.root, line_of(network, chain, code))

    own = network.note(chain.machine, signers=("DHA",))
    assert collector.own_note(own) == [] and elsewhere.note_received("DHA", own, 0) == []
    [saved] = send("DEL")
    assert isinstance(saved, act.SaveCosignature)
    _, shown = send("LON")
    assert isinstance(shown, act.OwnNote) and shown.size == size
    assert collector.own_note(shown.note) == [] and len(send("WAS")) == 1, "shown once"
    final, *_ = elsewhere.note_received("DHA", shown.note, 0)
    assert isinstance(final, act.Final) and final.size == elsewhere.final == size
    _, met = send("PAR")
    assert isinstance(met, act.PolicyNote), "the mission's line, which comes last, meets the policy"


def test_the_only_validator_shows_its_own_note_alone() -> None:
    network = TestNetwork.make(("DHA", "DEL", "LON", "WAS"), seed=52)
    chain = chain_of(network)
    assert Collector(chain, SplitViews()).own_note(network.note(chain.machine, signers=("DHA",))) == []


def test_the_consensus_key_is_made_proved_and_may_be_missing(tmp_path: Path) -> None:
    made = create_node_keys(tmp_path / "keys")
    proven, loaded = made.proven_consensus(), load_node_keys(tmp_path / "keys")
    assert proven is not None and loaded.consensus is not None and made.consensus is not None
    check_proven(proven, "consensus", SUITE_ED25519, DirectVerifier())
    assert loaded.consensus.secret == made.consensus.secret
    (tmp_path / "keys" / "consensus.key").unlink()
    older = load_node_keys(tmp_path / "keys")
    assert older.consensus is None and older.proven_consensus() is None


@pytest.mark.parametrize(
    ("address", "after"),
    [("127.0.0.1:7400", "127.0.0.1:7401"), ("[::1]:7400", "[::1]:7401"), ("dha.example:65535", None)],
)
def test_the_engine_listens_at_the_port_after_the_nodes(address: str, after: str | None) -> None:
    assert next_port(address) == after


def test_stated_addresses_of_engines_come_first_and_a_post_without_a_next_port_has_no_engine() -> None:
    known = {"DEL": "del.example:7400", "LON": "lon.example:65535"}
    stated = NodeConfig("DHA", "0.0.0.0:65535", "dha.example:65535", engine=EngineSettings(peers={"WAS": "was:1"}))
    place = EnginePlace(Path("unused"), stated, known.get)
    assert [place.engine_of(code) for code in ("DEL", "LON", "WAS", "PAR")] == ["del.example:7401", None, "was:1", None]
    with pytest.raises(Malformed) as caught:
        _ = place.listen
    assert caught.value.code == "bad-address" and "[engine]" in caught.value.hint


@pytest.mark.parametrize(
    "engine",
    [
        EngineSettings(),
        EngineSettings(listen="0.0.0.0:9000"),
        EngineSettings(program="/usr/bin/cometbft", peers={"DEL": "10.0.0.2:9000", "LON": "lon.example:1"}),
    ],
)
def test_the_engines_settings_are_written_and_read_back(engine: EngineSettings) -> None:
    config = NodeConfig("DHA", "0.0.0.0:7400", "dha.example:7400", peers={"DEL": "10.0.0.2:7400"}, engine=engine)
    assert parse_config(format_config(config)) == config


@pytest.mark.parametrize("text", ["[engine]\ncolour = 1", '[engine]\nlisten = "x"', "[engine]\npeers = 1"])
def test_a_bad_engine_table_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_config(format_config(PLAIN) + text + "\n")
