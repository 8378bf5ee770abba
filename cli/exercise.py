"""Founding a whole exercise under one folder: every post's keys, the root holders' too, each post ready to run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli import founding
from cli.plan import ROOTS, Plan
from keys.keystore import Cost
from ledger.genesis import network_id_of
from protos.errors import Refused


@dataclass(frozen=True, slots=True)
class Founded:
    """`addresses`: where each post's node will listen, by code."""

    network_id: bytes
    genesis: Path
    addresses: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """The document of `dutabarta network init --all-here`."""
        return {
            "network_id": self.network_id.hex(),
            "genesis": str(self.genesis),
            "posts": list(self.addresses),
            "addresses": dict(self.addresses),
        }


def found_here(
    plan: Plan, folder: Path, passphrase: bytes, progress: Callable[[int, int], None] = lambda done, total: None
) -> Founded:
    """Make `folder`/CODE for every post and `folder`/roots; all keystores have the one passphrase.

    Raises `Refused("folder-not-empty")`.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Refused("folder-not-empty", f"{folder} is not empty", hint="name a new folder", path=folder)
    addresses = dict(zip(plan.codes, founding.free_addresses(len(plan.posts)), strict=True))
    (folder / "roots").mkdir(mode=0o700, parents=True)
    roots = [
        founding.make_root(folder / "roots" / f"root-{n}.key", passphrase, Cost.EXERCISE) for n in range(1, ROOTS + 1)
    ]
    posts, steps = [], 2 * len(plan.posts)
    for done, post in enumerate(plan.posts):
        progress(done, steps)
        is_headquarters = post.code == plan.headquarters
        home, address = folder / post.code, addresses[post.code]
        posts.append(founding.make_post(home, post, address, is_headquarters, passphrase, Cost.EXERCISE).card)
    leaves = founding.found(plan, [*roots, *posts], exercise=True)
    genesis = folder / "genesis.log"
    founding.save_genesis(genesis, leaves)
    for done, code in enumerate(plan.codes, len(posts)):
        progress(done, steps)
        founding.settle(folder / code, leaves, passphrase, int(time.time()))
    return Founded(network_id_of(leaves[0]), genesis, addresses)
