"""DIR/testnet.json: which posts a test network has, where they and the relay listen, which processes run.

DIR/testnet.json, relay.sock, relay.log, passphrase
DIR/posts/CODE: a post's home; its node says what it says in DIR/posts/CODE/node.log
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from protos.errors import Malformed, Refused
from testnet.processes import Process

FILE = "testnet.json"
POSTS_FOLDER = "posts"
PASSPHRASE_FILE = "passphrase"
VERSION = 1
NODE, ENGINE = 64, 65
"""The second number of a link's address says what it leads to."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a post's node listens (host:port), and its engine; empty where it has none."""

    node: str
    engine: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A test network. `port` is the relay's, at every link's own address; `processes` by post code, and "relay"."""

    port: int
    seed: int
    posts: Mapping[str, Place]
    processes: Mapping[str, Process] = field(default_factory=dict)

    @property
    def codes(self) -> tuple[str, ...]:
        """The posts in order, headquarters first."""
        return tuple(self.posts)

    @property
    def engines(self) -> tuple[str, ...]:
        """The posts with an engine."""
        return tuple(code for code, place in self.posts.items() if place.engine)

    def node_link(self, source: str, target: str) -> str:
        """host:port at which `source` finds the node of `target`, through the relay."""
        return f"{self._host(NODE, source, target)}:{self.port}"

    def engine_link(self, source: str, target: str) -> str:
        """host:port at which the engine of `source` finds that of `target`."""
        return f"{self._host(ENGINE, source, target)}:{self.port}"

    def links(self) -> dict[str, tuple[str, str, str]]:
        """Every link's own loopback address, and (source, target, host:port where the target listens)."""
        found = {}
        for source in self.codes:
            for target, place in self.posts.items():
                if source == target:
                    continue
                found[self._host(NODE, source, target)] = source, target, place.node
                if place.engine and self.posts[source].engine:
                    found[self._host(ENGINE, source, target)] = source, target, place.engine
        return found

    def _host(self, kind: int, source: str, target: str) -> str:
        order = self.codes
        return f"127.{kind}.{order.index(source) + 1}.{order.index(target) + 1}"


def save_layout(folder: Path, layout: Layout) -> None:
    """Write DIR/testnet.json whole or not at all."""
    plain = {"version": VERSION, **asdict(layout)}
    waiting = folder / f".{FILE}.new"
    waiting.write_text(json.dumps(plain, indent=1) + "\n", "ascii")
    os.replace(waiting, folder / FILE)


def load_layout(folder: Path) -> Layout:
    """Read DIR/testnet.json. Raises `Refused("no-testnet")`, `Malformed("bad-testnet")`."""
    path = folder / FILE
    try:
        raw: dict[str, Any] = json.loads(path.read_bytes())
        if raw.pop("version") != VERSION:
            raise ValueError("another version")
        posts = {code: Place(**place) for code, place in raw.pop("posts").items()}
        processes = {name: Process(**one) for name, one in raw.pop("processes").items()}
        return Layout(posts=posts, processes=processes, **raw)
    except FileNotFoundError as problem:
        hint = "`dutabarta testnet up --posts N --dir DIR` makes one"
        raise Refused("no-testnet", f"{folder} holds no test network", hint=hint, path=folder) from problem
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        hint = "stop what still runs by its process id, remove the folder, and begin anew"
        raise Malformed("bad-testnet", f"{path} is damaged", hint=hint, path=path) from problem


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One command at a time changes a test network; the others wait."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
