"""A post admitted by the root holders after founding: it joins with the genesis alone, and its officers write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.stage import Stage, open_stage

pytestmark = pytest.mark.xdist_group("e2e-admitted-later")
THRESHOLD = 3


def desk(stage: Stage, code: str, name: str) -> tuple[str, ...]:
    return ("--home", str(stage.home(code)), "--officer", name)


def admit(stage: Stage, code: str) -> None:
    """Keygen at the post, a proposal at headquarters, the root holders' signatures, and the entry."""
    folder = stage.folder.parent
    card, proposal = folder / "card", folder / "proposal.json"
    card.write_text(stage.must("post", "keygen", "--post", code, "--home", str(stage.home(code)))["card"], "ascii")
    at_headquarters = desk(stage, "DHA", "supervisor-1")
    stage.must("governance", "propose", "post-admitted", "--card", str(card), "--out", str(proposal), *at_headquarters)
    for number in range(1, THRESHOLD + 1):
        root = stage.folder / "roots" / f"root-{number}.key"
        stage.must("governance", "sign", str(proposal), "--root-key", str(root))
    stage.must("governance", "submit", str(proposal), *at_headquarters)


def send(stage: Stage, code: str, to: str, text: str) -> dict[str, Any]:
    marking = ("--precedence", "PRIORITY", "--classification", "RESTRICTED", "--subject", "Hello")
    return stage.must("cable", "send", "--to", to, *marking, *desk(stage, code, "mina"), "-", stdin=text)


def test_a_post_admitted_later_writes_to_headquarters(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text("exercise\n")
    with open_stage(tmp_path / "posts", passphrase) as stage:
        plan = tmp_path / "network.toml"
        plan.write_text(stage.must("network", "template", "--posts", "DHA,DEL")["template"], "utf-8")
        stage.must("network", "init", str(plan), "--all-here", str(stage.folder))
        stage.start(("DHA", "DEL"))
        admit(stage, "LON")
        genesis = stage.folder / "genesis.log"
        stage.must("node", "join", "--home", str(stage.home("LON")), "--genesis", str(genesis))
        stage.start(("LON",))
        stage.must(
            "officer", "enrol", "mina", "--home", str(stage.home("LON")), "--role", "releaser", "--clearance", "SECRET"
        )
        cable = send(stage, "LON", "DHA", "First cable from a new post.")
        read = stage.must("cable", "read", cable["cable_id"], *desk(stage, "DHA", "supervisor-1"))
        assert (read["from"], read["paragraphs"]) == ("LON", ["First cable from a new post."])
