"""From posts that know each other directly to posts whose every link goes through a relay."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from node.config import load_config, node_folder, save_config
from node.shell.comet import next_port
from protos.errors import Refused
from testnet.layout import POSTS_FOLDER, Layout, Place, save_layout
from testnet.network import Testnet

SPARE_FILES = 4096
"""Open files of the relay beside its listeners: two for each connection."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The engines' link profile, and the seed of the lines' losses."""

    profile: str = "lan"
    seed: int = 0


def check_room(codes: Sequence[str], engines: Sequence[str]) -> None:
    """Whether this machine can hold such a network. Raises `Refused("too-few-files")`."""
    needed = len(codes) * (len(codes) - 1) + len(engines) * (len(engines) - 1) + SPARE_FILES
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < needed:
        text = f"the relay of {len(codes)} posts needs {needed} open files; this process may have {most}"
        raise Refused("too-few-files", text, hint=f"ulimit -Hn {needed}, or fewer posts", needed=needed, most=most)


def make_testnet(folder: Path, codes: Sequence[str], engines: Sequence[str], port: int, settings: Settings) -> Testnet:
    """Send all links of a network that was founded in DIR/posts through a relay at `port`; headquarters is first.

    Writes DIR/testnet.json and every post's config.toml. `engines`: the posts whose engines' links go through it too.
    """
    configs = {code: load_config(node_folder(folder / POSTS_FOLDER / code)) for code in codes}
    engine_of = {code: next_port(config.listen) or "" for code, config in configs.items()}
    places = {code: Place(one.listen, engine_of[code] if code in engines else "") for code, one in configs.items()}
    layout = Layout(port, settings.seed, places)
    for code, config in configs.items():
        others = [other for other in codes if other != code]
        links = {other: layout.node_link(code, other) for other in others}
        engine_links = {
            other: layout.engine_link(code, other) if {code, other} <= set(engines) else engine_of[other]
            for other in others
        }
        engine = replace(config.engine, peers=engine_links, profile=settings.profile)
        save_config(node_folder(folder / POSTS_FOLDER / code), replace(config, peers=links, engine=engine))
    save_layout(folder, layout)
    return Testnet(folder)
