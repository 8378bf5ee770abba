"""A network of real processes under faults: cables go on all the while, and in the end nothing may be missing."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from random import Random
from typing import Any

from crypto_msg.cable import Precedence
from faults.plan import Fault, Step
from ledger.roles import Clearance
from node.config import node_folder
from protos.errors import Unavailable
from support.processes import dutabarta
from terminal.compose import Composition
from terminal.terminal import Terminal, open_terminal
from testnet.lines import Shape
from testnet.network import Testnet
from testnet.state import NetworkStatus

OFFICER = "supervisor-1"
PAUSE_SECONDS = 0.5
FLAP_SECONDS = 1.5
MEND_SECONDS = 180.0
LOOK_SECONDS = 0.5
WAITING = ("slot_items", "batches", "items WHERE state = 'intake'", "pending WHERE code = 'pending'")
THIN = Shape(kbit=64, delay_ms=400, loss_percent=2)


class World:
    """Posts of `dutabarta testnet`, the officers that write to each other, and all that they were promised."""

    def __init__(self, folder: Path, posts: int, validators: int, seed: int) -> None:
        """Founds and starts the network."""
        size = ("--posts", str(posts), "--validators", str(validators))
        founded = dutabarta("testnet", "up", *size, "--seed", str(seed), "--dir", folder / "net")
        assert founded.code == 0, founded.err
        self.net = Testnet(folder / "net")
        self.validators, self.followers = self.net.codes[:validators], self.net.codes[validators:]
        self.sent: dict[bytes, tuple[str, str]] = {}
        """Cable id: from, to. Each was sealed and stored at its officer's terminal."""
        self._random = Random(seed)
        self._passphrase = self.net.passphrase_file.read_bytes().strip()
        self._backup = folder / "backup"

    def close(self) -> None:
        """Stop all of it."""
        if self.net.is_up:
            self.net.down()

    # --- officers ----------------------------------------------------------------------------------------------

    def terminal(self, code: str) -> AbstractContextManager[Terminal]:
        """The officer of a post."""
        return open_terminal(self.net.home(code) / "terminals" / OFFICER, self._passphrase)

    def send(self) -> None:
        """One officer writes to another. What his terminal has stored, he has been promised."""
        origin, target = self._random.sample(self.net.codes, 2)
        text = f"Number {len(self.sent)}, from {origin}."
        cable = Composition((target,), Precedence.ROUTINE, Clearance.UNCLASSIFIED, "Faults", text)
        with suppress(Unavailable), self.terminal(origin) as terminal:
            self.sent[terminal.send(cable, accept_stale=True).cable_id] = origin, target

    def send_for(self, seconds: float) -> None:
        """Cables from here and there, for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.send()
            time.sleep(PAUSE_SECONDS)

    def missing(self) -> set[bytes]:
        """The cables that somebody was promised and his correspondent has not received."""
        received = set()
        for code in self.net.codes:
            with self.terminal(code) as terminal:
                terminal.sync()
                received |= {one.cable_id for one in terminal.cables("in")}
        return set(self.sent) - received

    # --- faults ------------------------------------------------------------------------------------------------

    def suffer(self, step: Step) -> None:
        """Do what the step says while cables go on; then undo it and wait until the network is whole."""
        self._do(step)
        self.net.heal()
        for code in self.net.codes:
            self.net.link(code, Shape())
        self.net.start(seconds=MEND_SECONDS)
        self.mend()

    def mend(self) -> None:
        """Until all posts have one log, cosigned by the policy to its end, nothing waits anywhere and nothing is
        missing."""
        deadline = time.monotonic() + MEND_SECONDS
        while not (
            self._is_whole(found := self.net.status()) and not self.missing() and self._is_whole(self.net.status())
        ):
            assert time.monotonic() < deadline, _in_words(found)
            time.sleep(LOOK_SECONDS)

    def _is_whole(self, found: NetworkStatus) -> bool:
        said = [one.said for one in found.posts if one.said is not None]
        at_rest = all(one.ready and not one.queues and one.policy_size == one.log_size for one in said)
        is_one = len(said) == len(self.net.codes) and len(found.roots) == 1
        return at_rest and is_one and not any(self._waits(code) for code in self.net.codes)

    def _waits(self, code: str) -> bool:
        """Whether a post holds something that its batches, or the ledger, have not got yet."""
        return any(self.rows(code, f"SELECT count(*) FROM {waiting}")[0][0] for waiting in WAITING)

    def rows(self, code: str, query: str) -> list[tuple[Any, ...]]:
        """What a query finds in a node's store."""
        path = node_folder(self.net.home(code)) / "node.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(query).fetchall()

    def _do(self, step: Step) -> None:
        net, posts = self.net, step.posts
        match step.fault:
            case Fault.KILLED | Fault.POWER_CUT:
                net.kill(*posts)
            case Fault.FAIL_POINT:
                net.stop(*posts)
                net.launch(*posts, environment={"FAIL_TEST_INDEX": str(step.number)})
            case Fault.HALVES | Fault.THIRDS | Fault.HEADQUARTERS:
                net.partition(posts)
            case Fault.ONE_WAY:
                others = [code for code in net.codes if code not in posts]
                net.cut(*((posts, others) if step.number % 2 else (others, posts)))
            case Fault.THIN_LINE:
                net.link(posts[0], THIN)
            case Fault.RESTORED:
                self._restore(step)
            case Fault.FLAPPING:
                self._flap(step)
        self.send_for(step.seconds)
        if step.fault is Fault.FAIL_POINT:
            net.kill(*posts)

    def _restore(self, step: Step) -> None:
        """Nothing is on its way when it happens: what only a node's own store held is gone with it."""
        (post,) = step.posts
        folder = node_folder(self.net.home(post))
        self.net.stop(post)
        shutil.rmtree(self._backup, ignore_errors=True)
        shutil.copytree(folder, self._backup, ignore=shutil.ignore_patterns("*.sock", "comet"))
        self.net.start(post)
        self.send_for(step.seconds)
        self.mend()
        self.net.stop(post)
        shutil.rmtree(folder)
        shutil.copytree(self._backup, folder)
        self.net.start(post)

    def _flap(self, step: Step) -> None:
        deadline = time.monotonic() + step.seconds
        while time.monotonic() < deadline:
            self.net.partition(step.posts)
            self.send_for(FLAP_SECONDS)
            self.net.heal()
            self.send_for(FLAP_SECONDS)


def _in_words(found: NetworkStatus) -> str:
    said = [
        f"{one.post} {one.said and (one.said.log_size, one.said.policy_size, one.said.ready)}" for one in found.posts
    ]
    return f"not whole: {'; '.join(said)}"
