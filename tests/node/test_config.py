from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.limits import Limits
from node.comet.profiles import PROFILES
from node.config import (
    CourierSettings,
    EngineSettings,
    NodeConfig,
    format_config,
    load_config,
    parse_config,
    save_config,
)
from protos.errors import DutabartaError, Malformed, Unavailable

SMALL = 'post = "DHA"\nlisten = "127.0.0.1:7400"\naddress = "dha.example:7400"\n'
addresses = st.builds(lambda port: f"127.0.0.1:{port}", st.integers(1, 65535))
codes = st.text("ABCXYZ", min_size=3, max_size=3)
configs = st.builds(
    NodeConfig,
    post=st.text("ABCXYZ", min_size=3, max_size=3),
    listen=addresses,
    address=addresses,
    database=st.sampled_from(["", "sqlite:////srv/node.db"]),
    peers=st.dictionaries(st.text("ABCXYZ", min_size=3, max_size=3), addresses, max_size=3),
    engine=st.builds(
        EngineSettings,
        listen=st.just("") | addresses,
        profile=st.sampled_from(sorted(PROFILES)),
        peers=st.dictionaries(st.text("ABCXYZ", min_size=3, max_size=3), addresses, max_size=3),
    ),
    courier=st.builds(CourierSettings, link_kbit=st.integers(0, 10**6), is_relay=st.booleans())
    | st.builds(CourierSettings, relays=st.dictionaries(codes, codes, max_size=3)),
    limits=st.builds(Limits, calls_per_second=st.integers(1, 10**6), unary_seconds=st.integers(1, 600)),
)


@given(configs)
def test_a_written_configuration_reads_back_the_same(config: NodeConfig) -> None:
    assert parse_config(format_config(config)) == config


def test_saved_configuration_is_loaded(tmp_path: Path) -> None:
    config = NodeConfig("DHA", "127.0.0.1:7400", "dha.example:7400", peers={"DEL": "10.0.0.2:7400"})
    save_config(tmp_path / "node", config)
    assert load_config(tmp_path / "node") == config


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (SMALL + "colour = 1\n", "colour"),
        (SMALL + "[limits]\ncalls = 1\n", "limits.calls"),
        (SMALL + "[limits]\nburst = 0\n", "limits.burst"),
        (SMALL + "[limits]\nburst = true\n", "limits.burst"),
        (SMALL.replace('"DHA"', "3"), "post"),
        (SMALL.replace("post", "pots"), "pots"),
        ('post = "DHA"\nlisten = "127.0.0.1:7400"\n', "address"),
        ("post = ", "TOML"),
        (SMALL + 'peers = "none"\n', "peers"),
        (SMALL + '[engine]\nprofile = "moon"\n', "engine.profile"),
        (SMALL + "[engine]\nprofile = 3\n", "engine.profile"),
    ],
)
def test_a_bad_key_is_refused_by_name(text: str, word: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_config(text)
    assert caught.value.code == "bad-config"
    assert word in caught.value.text


@pytest.mark.parametrize("address", ["nowhere", "a:b", "a:0", "a:70000", ":1", "a:١٢"])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(Malformed, match="host:port"):
        parse_config(SMALL.replace("127.0.0.1:7400", address))


@given(st.text())
def test_no_text_raises_anything_but_a_named_error(text: str) -> None:
    with pytest.raises(DutabartaError):
        parse_config(text)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        load_config(tmp_path)
    assert "post keygen" in caught.value.hint
