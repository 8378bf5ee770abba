"""A network of several validators for measurements: daemons with their engines, followers, and posts that only sign.

The same CometBFT with its own kvstore application runs beside it, from copies of the validators' configuration.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from string import ascii_uppercase
from types import TracebackType
from typing import Self

from benchmarks.harness import Row, remark
from benchmarks.meter import Meter
from benchmarks.processes import children
from cli import founding
from cli.plan import PlannedPost
from keys.card import parse_card
from keys.keystore import Cost
from keys.possession import ProvenKey, prove
from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44
from keys.signing import SoftwareSigner
from ledger import bodies, genesis
from ledger.parameters import EXERCISE_PARAMETERS
from ledger.wire import CODEC, MAX_LEAF_BYTES
from node.api.limits import Limits
from node.api.tls import make_identity
from node.client import NodeClient
from node.comet.program import find_program
from node.config import ENGINE_FOLDER, KEYS_FOLDER, NodeConfig, load_config, node_folder, save_config
from node.secrets import NodeKeys, load_node_keys
from node.wire import Status
from protos.errors import DutabartaError, Unavailable

VALIDATORS = ("DEL", "DHA", "LON", "WAS")
HEADQUARTERS = "DHA"
PASSPHRASE = b"exercise"
NOWHERE = "127.0.0.1:9"
READY_SECONDS = 180.0
STOP_SECONDS = 20.0
OPEN_DOORS = Limits(concurrent_calls=4096, calls_per_caller=4096, calls_per_second=100_000, burst=100_000)
"""One load generator stands for hundreds of posts."""


@dataclass(slots=True)
class Signer:
    """A post of the ledger whose node does not run: it only signs batches."""

    code: str
    key: SoftwareSigner
    sequence: int = 0


@dataclass(slots=True)
class Process:
    """A program that is ended with the network."""

    code: str
    child: subprocess.Popen[bytes]
    log: Path = field(repr=False)


def lacking() -> Iterator[Row]:
    """A remark if there is no engine to measure."""
    try:
        find_program()
    except DutabartaError as problem:
        yield remark(f"not measured: {problem.text} ({problem.hint})")


class Council:
    """An exercise of real daemons under `folder`; `signers` posts more stand on its ledger.

    `meter` sees all that the node of one post sends and receives.
    """

    def __init__(
        self, folder: Path, followers: Sequence[str] = (), signers: int = 0, meter: tuple[Meter, str] | None = None
    ) -> None:
        """Raises `Unavailable("no-engine")`."""
        self.program = find_program()
        self.folder = folder
        self.codes = (*VALIDATORS, *followers)
        self.signers = [Signer(code, SoftwareSigner.generate(SUITE_ED25519)) for code in _codes(signers, self.codes)]
        self.nodes: dict[str, Process] = {}
        self.beside: list[Process] = []
        listen = dict(zip(self.codes, founding.free_addresses(len(self.codes)), strict=True))
        self._found(listen, meter)

    def _found(self, listen: dict[str, str], meter: tuple[Meter, str] | None) -> None:
        address = dict(listen)
        if meter is not None:
            address[meter[1]] = meter[0].before(listen[meter[1]])
        made = [self._make_post(code, address[code]) for code in self.codes]
        roots = [founding.make_root(self.folder / f"root-{n}.key", PASSPHRASE, Cost.EXERCISE) for n in range(3)]
        proven = [CODEC.decode(ProvenKey, parse_card(text).content, limit=MAX_LEAF_BYTES) for text in roots]
        cards = [*(one.admitted for one in made), *map(_card, self.signers)]
        now = int(time.time())
        parameters = replace(EXERCISE_PARAMETERS, mission_quorum=0) if self.signers else EXERCISE_PARAMETERS
        leaves = genesis.build("bench", True, now, parameters, proven, cards, VALIDATORS)
        for code in self.codes:
            folder = node_folder(self.home(code))
            peers = {}
            if meter is not None and code == meter[1]:
                peers = {other: meter[0].before(listen[other]) for other in self.codes if other != code}
            own = NodeConfig(code, listen[code], listen[code], peers=peers, limits=OPEN_DOORS)
            save_config(folder, own)  # its terminals dial the node itself
            founding.settle(self.home(code), leaves, PASSPHRASE, now)

    def _make_post(self, code: str, address: str) -> founding.PostKeys:
        post = PlannedPost(code, ("first", "second"), False)
        return founding.make_post(self.home(code), post, address, code == HEADQUARTERS, PASSPHRASE, Cost.EXERCISE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = [*self.beside, *self.nodes.values()]
        for one in running:
            one.child.terminate()
        for one in running:
            try:
                one.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                one.child.kill()
                one.child.wait()

    # --- daemons -----------------------------------------------------------------------------------------------

    def home(self, code: str) -> Path:
        """A post's folder."""
        return self.folder / code

    def terminal(self, code: str) -> Path:
        """The folder of a supervisor's terminal."""
        return self.home(code) / "terminals" / "first"

    def start(self, *codes: str) -> None:
        """Start these daemons and wait until they are ready and have taken in what was left for them."""
        for code in codes:
            command = [sys.executable, "-m", "cli.main", "node", "run", "--home", str(self.home(code))]
            self.nodes[code] = spawn(code, command, self.home(code) / "node.out", self.folder)
        wait_until(lambda: all(self._is_ready(code) for code in codes), lambda: self._words(codes))

    def status(self, code: str) -> Status:
        """What a daemon says of itself. Raises `Unavailable`."""
        with NodeClient(self.address(code), self.keys(code).tls.certificate, self.keys(code).tls) as client:
            return client.status()

    def address(self, code: str) -> str:
        """Where the post's node listens."""
        return load_config(node_folder(self.home(code))).listen

    def keys(self, code: str) -> NodeKeys:
        """The keys of a post's node."""
        return load_node_keys(node_folder(self.home(code)) / KEYS_FOLDER)

    def _is_ready(self, code: str) -> bool:
        try:
            return self.status(code).ready
        except Unavailable:
            return False

    def settle(self) -> None:
        """Until all daemons have one log that grows no more."""
        last: set[int] = set()

        def is_quiet() -> bool:
            nonlocal last
            before, last = last, {self.status(code).log_size for code in self.nodes}
            time.sleep(1.0)
            return len(last) == 1 and last == before

        wait_until(is_quiet, lambda: self._words(tuple(self.nodes)))

    # --- engines -----------------------------------------------------------------------------------------------

    def engine_home(self, code: str) -> Path:
        """CometBFT's own folder of a validator that has run."""
        (found,) = (one for one in (node_folder(self.home(code)) / ENGINE_FOLDER).iterdir() if one.is_dir())
        return found

    def engine_process(self, code: str) -> int:
        """The process of a validator's engine: the only child of its node."""
        return children(self.nodes[code].child.pid)[0]

    def _words(self, codes: Sequence[str]) -> str:
        return last_words(self.nodes[code] for code in codes)


def _codes(count: int, taken: Sequence[str]) -> list[str]:
    every = ("".join(letters) for letters in product(ascii_uppercase, repeat=3))
    free = (code for code in every if code not in taken)
    return [next(free) for _ in range(count)]


def _card(signer: Signer) -> bodies.PostAdmitted:
    supervisors = tuple(
        bodies.Supervisor(os.urandom(16), prove(SoftwareSigner.generate(SUITE_DUAL), "officer")) for _ in range(2)
    )
    return bodies.PostAdmitted(
        signer.code,
        False,
        False,
        NOWHERE,
        prove(signer.key, "entry"),
        prove(SoftwareSigner.generate(SUITE_MLDSA44), "cosigner"),
        prove(SoftwareSigner.generate(SUITE_ED25519), "log"),
        None,
        make_identity().certificate,
        supervisors,
    )


def spawn(code: str, command: Sequence[str], log: Path, folder: Path) -> Process:
    """Start a program in `folder`, its words going to `log`."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with log.open("ab") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder, env=environment)
    return Process(code, child, log)


def last_words(processes: Iterable[Process]) -> str:
    """What each has said last."""
    return "\n".join(f"{one.code}: {one.log.read_text()[-800:]}" for one in processes)


def wait_until(holds: Callable[[], bool], words: Callable[[], str]) -> None:
    """Raises `Unavailable("timeout")` with `words()` if it takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise Unavailable("timeout", f"the network did not get there:\n{words()}")
        time.sleep(0.2)
