"""A test network of real processes: started, killed, cut apart, healed, asked how it is, stopped.

What DIR holds says all; every method reads it anew, so that commands, tests and fault plans may take turns.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from node.client import NodeClient
from node.config import KEYS_FOLDER, load_config, node_folder
from node.secrets import load_node_keys
from node.wire import Status
from protos.errors import Refused, Unavailable
from testnet import processes
from testnet.layout import PASSPHRASE_FILE, POSTS_FOLDER, Layout, load_layout, locked, save_layout
from testnet.lines import Shape
from testnet.orders import RelayControl
from testnet.processes import Process, start_process
from testnet.state import NetworkStatus, PostStatus, ProcessStatus, measured

NODE_LOG = "node.log"
RELAY = "relay"
RELAY_LOG = "relay.log"
RELAY_SECONDS = 30.0
READY_SECONDS = 60.0
READY_SECONDS_PER_POST = 12.0
STOP_SECONDS = 30.0
LOOK_SECONDS = 0.2
STATUS_SECONDS = 10.0
ASKED_TOGETHER = 8
WAVE = 6
LISTENING, READY = b" listens at ", b"ready: "

Progress = Callable[[str, int, int], None]
"""Called with what is done ("started", "ready"), how many are, and of how many."""


def _quiet(_what: str, _done: int, _total: int) -> None:
    pass


class Testnet:
    """The test network in `folder`. Raises `Refused("no-testnet")` where there is none."""

    __test__ = False  # no test, whatever pytest thinks of the name

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.relay = RelayControl(self.folder)
        load_layout(self.folder)

    @property
    def layout(self) -> Layout:
        """What DIR/testnet.json says now."""
        return load_layout(self.folder)

    @property
    def codes(self) -> tuple[str, ...]:
        """The posts in order, headquarters first."""
        return self.layout.codes

    @property
    def passphrase_file(self) -> Path:
        """The passphrase of every keystore of this exercise."""
        return self.folder / PASSPHRASE_FILE

    def home(self, code: str) -> Path:
        """The folder of a post."""
        return self.folder / POSTS_FOLDER / code

    def log(self, code: str) -> Path:
        """What a post's node has said since the founding."""
        return self.home(code) / NODE_LOG

    def is_alive(self, code: str) -> bool:
        """Whether the process of a post, or of "relay", runs."""
        process = self.layout.processes.get(code)
        return process is not None and process.is_alive

    @property
    def is_up(self) -> bool:
        """Whether anything of it runs."""
        return any(one.is_alive for one in self.layout.processes.values())

    # --- processes -----------------------------------------------------------------------------------------------

    def start(
        self,
        *codes: str,
        progress: Progress = _quiet,
        environment: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> None:
        """Start the nodes of `codes` (default: all) that do not run, and the relay; return when all are ready.

        `environment` is added to that of the nodes. Raises `Unavailable("post-did-not-start")`, `Refused`.
        """
        marks = self.launch(*codes, progress=progress, environment=environment)
        most = _patience(len(self.codes)) if seconds is None else seconds
        self._await_all(marks, READY, most, lambda done: progress("ready", done, len(marks)))

    def launch(
        self, *codes: str, progress: Progress = _quiet, environment: Mapping[str, str] | None = None
    ) -> dict[str, int]:
        """`start`, but return when all listen: each code, and where in its log this start begins."""
        self._check(codes)
        with locked(self.folder):
            self._start_relay()
            wanted = [code for code in codes or self.codes if not self.is_alive(code)]
            marks: dict[str, int] = {}
            for at in range(0, len(wanted), WAVE):
                wave = wanted[at : at + WAVE]
                marks |= {code: self._start_node(code, environment or {}) for code in wave}
                begun = {code: marks[code] for code in wave}
                self._await_all(begun, LISTENING, _patience(len(self.codes)), lambda _: None)
                progress("started", at + len(wave), len(wanted))
        return marks

    def kill(self, *codes: str) -> None:
        """End nodes and their engines as a power cut would. Raises `Refused("post-not-running")`."""
        self._check(codes)
        with locked(self.folder):
            running = self.layout.processes
            for code in codes:
                if code not in running or not running[code].is_alive:
                    hint = "`dutabarta testnet status` shows what runs"
                    raise Refused("post-not-running", f"the node of {code} does not run", hint=hint, post=code)
            for code in codes:
                processes.kill(running[code])

    def stop(self, *codes: str) -> None:
        """Ask nodes (default: all) to end; one that has not ended after 30 s is killed."""
        self._check(codes)
        with locked(self.folder):
            running = self.layout.processes
            processes.stop([running[code] for code in codes or self.codes if code in running], STOP_SECONDS)

    def down(self) -> None:
        """Stop all nodes, then the relay. What they hold stays: `start` brings it back."""
        if not self.is_up:
            hint = "`dutabarta testnet start` brings it up again"
            raise Refused("testnet-not-up", "nothing of this test network runs", hint=hint)
        self.stop()
        with locked(self.folder):
            processes.stop(list(self.layout.processes.values()), STOP_SECONDS)

    # --- links ---------------------------------------------------------------------------------------------------

    def partition(self, *groups: Iterable[str]) -> None:
        """Cut every link between the groups; the posts that no group names are one more. Adds to what is cut."""
        parts = [list(group) for group in groups]
        named = [code for part in parts for code in part]
        self._check(named)
        parts.append([code for code in self.codes if code not in named])
        for one in parts:
            for other in parts:
                if one is not other:
                    self.relay.cut(one, other)

    def cut(self, sources: Iterable[str], targets: Iterable[str] = ()) -> None:
        """Cut one way only: nothing goes from `sources` to `targets` (default: all others)."""
        near, far = list(sources), list(targets)
        self._check([*near, *far])
        self.relay.cut(near, far or [code for code in self.codes if code not in near])

    def heal(self) -> None:
        """Undo all cuts; shapes stay."""
        self.relay.heal()

    def link(self, code: str, shape: Shape) -> None:
        """Give the line of a post this shape; `Shape()` makes it plain again."""
        self._check([code])
        self.relay.shape(code, shape)

    # --- asking --------------------------------------------------------------------------------------------------

    def ask(self, code: str, seconds: float = STATUS_SECONDS) -> Status:
        """A node's own word, asked as its operator at its own machine. Raises `Unavailable`."""
        folder = node_folder(self.home(code))
        keys = load_node_keys(folder / KEYS_FOLDER)
        with NodeClient(load_config(folder).listen, keys.tls.certificate, keys.tls, unary_seconds=seconds) as client:
            return client.status()

    def status(self) -> NetworkStatus:
        """Every process, what it takes, and what the nodes say."""
        layout, kin = self.layout, processes.children()
        with ThreadPoolExecutor(ASKED_TOGETHER) as pool:
            posts = list(pool.map(lambda code: self._status_of(layout, code, kin), layout.codes))
        try:
            state = self.relay.state()
        except Unavailable:
            state = {}
        return NetworkStatus(tuple(posts), measured(layout.processes.get(RELAY)), state)

    def _status_of(self, layout: Layout, code: str, kin: Mapping[int, list[Process]]) -> PostStatus:
        process = layout.processes.get(code)
        node = measured(process)
        engine = ProcessStatus()
        said: Status | None = None
        if process is not None and node.is_alive:
            engine = measured(next(iter(kin.get(process.pid, ())), None))
            try:
                said = self.ask(code)
            except Unavailable:
                said = None
        return PostStatus(code, node, engine, said)

    # --- the insides ---------------------------------------------------------------------------------------------

    def _check(self, codes: Iterable[str]) -> None:
        known = self.codes
        for code in codes:
            if code not in known:
                text, hint = f"this test network has no post {code}", f"its posts are {', '.join(known)}"
                raise Refused("not-in-testnet", text, hint=hint, post=code, posts=", ".join(known))

    def _start_relay(self) -> None:
        if self.is_alive(RELAY):
            return
        log = self.folder / RELAY_LOG
        process = start_process([sys.executable, "-m", "testnet.relay", str(self.folder)], _environment({}), log)
        self._note(RELAY, process)
        deadline = time.monotonic() + RELAY_SECONDS
        while time.monotonic() < deadline and process.is_alive:
            try:
                self.relay.state()
            except Unavailable:
                time.sleep(LOOK_SECONDS)
            else:
                return
        hint = "see the log; `ulimit -n` may be too low, or a port taken meanwhile"
        raise Unavailable("relay-did-not-start", f"the relay did not start; see {log}", hint=hint, path=log)

    def _start_node(self, code: str, environment: Mapping[str, str]) -> int:
        log = self.log(code)
        mark = log.stat().st_size if log.exists() else 0
        command = [sys.executable, "-m", "cli.main", "node", "run", "--home", str(self.home(code))]
        self._note(code, start_process(command, _environment(environment), log))
        return mark

    def _note(self, name: str, process: Process) -> None:
        layout = self.layout
        save_layout(self.folder, replace(layout, processes={**layout.processes, name: process}))

    def _await_all(self, marks: Mapping[str, int], word: bytes, seconds: float, done: Callable[[int], None]) -> None:
        """Until each of these has said `word` in its log since its mark."""
        waiting, deadline = dict(marks), time.monotonic() + seconds
        while waiting:
            ended = {code for code in waiting if not self.is_alive(code)}
            said = {code for code, mark in waiting.items() if word in _since(self.log(code), mark)}
            if said:
                waiting = {code: mark for code, mark in waiting.items() if code not in said}
                done(len(marks) - len(waiting))
            elif ended or time.monotonic() > deadline:
                code = min(ended or waiting)
                text, hint = f"the node of {code} did not get ready; see {self.log(code)}", "its last lines say why"
                raise Unavailable("post-did-not-start", text, hint=hint, post=code, path=self.log(code))
            else:
                time.sleep(LOOK_SECONDS)


def _since(log: Path, mark: int) -> bytes:
    with log.open("rb") as file:
        file.seek(mark)
        return file.read()


def _patience(posts: int) -> float:
    """Seconds to wait for a start: every post checks and re-executes what every other enters."""
    return READY_SECONDS + READY_SECONDS_PER_POST * posts


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", **more}
