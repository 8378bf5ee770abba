"""`dutabarta node`: run a post's daemon, ask how it is, bring a post into its network."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.commands import group, option
from cli.options import FILE, home_option, json_option, passphrase_option, read_passphrase
from cli.output import emit, lines_of
from cli.words import t


@group("node")
def node() -> None:
    """Help stands in the string tables."""


@node.command("run")
@home_option
def run(home: Path) -> None:
    """Run the daemon in the foreground until SIGTERM."""
    from node import daemon

    daemon.run(home)


@node.command("status")
@home_option
@json_option
def status(home: Path, as_json: bool) -> None:
    """Ask the running daemon, as its operator."""
    from node.client import NodeClient
    from node.config import KEYS_FOLDER, load_config, node_folder
    from node.secrets import load_node_keys

    folder = node_folder(home)
    config, keys = load_config(folder), load_node_keys(folder / KEYS_FOLDER)
    with NodeClient(config.listen, keys.tls.certificate, keys.tls, unary_seconds=10.0) as client:
        data = client.status().to_json()
    emit(data, as_json, _status_text(data))


def _status_text(data: Mapping[str, Any]) -> str:
    """The document line by line, and what the courier has cost in words."""
    kbit = data["link_kbit"]
    budget = t("cost.budget", kbit=kbit) if kbit else t("cost.no-budget")
    filled = data["filled_slot_bytes"]
    slots = t("cost.slots", bytes=filled) if filled else t("cost.no-slots")
    plain = {name: value for name, value in data.items() if name not in ("link_kbit", "traffic", "filled_slot_bytes")}
    return "\n".join([lines_of(plain), budget, slots, *(t("cost.day", **day) for day in data["traffic"])])


@node.command("join")
@home_option
@option("--genesis", type=FILE, required=True)
@option("--peer")
@passphrase_option
@json_option
def join(home: Path, genesis: Path, peer: str | None, passphrase_file: Path | None, as_json: bool) -> None:
    """Settle a post in the network whose genesis file was brought to it."""
    from dataclasses import replace

    from cli import founding
    from node.config import load_config, node_folder, save_config

    leaves, founded = founding.load_genesis(genesis)
    passphrase = read_passphrase(passphrase_file) if founding.has_first_supervisors(home) else b""
    founding.settle(home, leaves, passphrase, int(time.time()))
    folder = node_folder(home)
    config = load_config(folder)
    if peer is not None:
        save_config(folder, replace(config, peers={**config.peers, founded.state.headquarters(): peer}))
    emit({"post": config.post, "network_id": founded.network_id.hex()}, as_json)
