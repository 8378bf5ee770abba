"""`python -m benchmarks.circular [--posts N] [--validators V] [--dir DIR] [--keep]`: a whole network and HQ's circular.

Founds and starts the network (or takes the one that runs in DIR), measures it at rest, sends a cable from headquarters
to every mission, measures until all have it, until it is on the ledger, until the policy's quorum has cosigned it and
headquarters has proved it, until an officer of every mission has opened it; then stops the network.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from cli.main import run
from cli.plan import SUPERVISORS
from crypto_msg.cable import Precedence
from ledger.roles import Clearance
from protos.errors import DutabartaError
from terminal.compose import Composition
from terminal.terminal import Terminal, open_terminal
from testnet.network import Testnet
from testnet.processes import unshared_bytes
from testnet.state import NetworkStatus

OFFICER = "circular"
AIM_SECONDS, AIM_GIB = 60.0, 12.0
REST_SECONDS = 30.0
WAIT_SECONDS = 600.0
LOOK_SECONDS = 0.25
MIB = 1024 * 1024
TEXT = "All posts are asked to confirm the receipt of this circular.\n"
FAR = ("delivered", "carried", "read", "acknowledged")


@dataclass(slots=True)
class Found:
    """Everything measured; times in seconds since the cable was handed to the terminal."""

    posts: int
    validators: int
    start_seconds: float = 0.0
    node_mib: float = 0.0
    engine_mib: float = 0.0
    resident_gib: float = 0.0
    unshared_gib: float = 0.0
    node_idle_percent: float = 0.0
    engine_idle_percent: float = 0.0
    idle_bytes_per_day: float = 0.0
    sealed: float = 0.0
    delivered: list[float] = field(default_factory=list)
    anchored: float = 0.0
    quorum: float = 0.0
    proved: float = 0.0
    opened: float = 0.0

    @property
    def is_met(self) -> bool:
        """Whether all have it, proved, within the aims."""
        is_everywhere = len(self.delivered) == self.posts - 1
        return is_everywhere and max(*self.delivered, self.proved) <= AIM_SECONDS and self.unshared_gib <= AIM_GIB

    def lines(self) -> Iterator[tuple[str, str]]:
        """For a person."""
        yield "founded, started, all ready", f"{self.start_seconds:.0f} s"
        yield "resident memory of a node / an engine (median)", f"{self.node_mib:.0f} / {self.engine_mib:.0f} MiB"
        yield (
            "memory in all: resident, shared pages counted once",
            f"{self.resident_gib:.1f}, {self.unshared_gib:.1f} GiB",
        )
        yield (
            "one processor at rest: a node / an engine",
            f"{self.node_idle_percent:.1f} / {self.engine_idle_percent:.1f} %",
        )
        yield "a follower at rest sends and receives", f"{self.idle_bytes_per_day / 1e6:.1f} MB a day"
        yield f"circular sealed for {self.posts - 1} posts and handed in", f"{self.sealed:.1f} s"
        if self.delivered:
            yield f"delivered to the first, half, all {len(self.delivered)}", _spread(self.delivered)
        yield "its batch is on the ledger", f"{self.anchored:.1f} s"
        yield "a quorum of the policy has cosigned it", f"{self.quorum:.1f} s"
        yield "headquarters' terminal has checked the proof", f"{self.proved:.1f} s"
        yield "opened and read by an officer of every mission", f"{self.opened:.1f} s"
        yield f"aims ({AIM_SECONDS:.0f} s, {AIM_GIB:.0f} GiB)", "met" if self.is_met else "MISSED"


def _spread(times: list[float]) -> str:
    return f"{min(times):.1f}, {median(times):.1f}, {max(times):.1f} s"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.circular")
    parser.add_argument("--posts", type=int, default=82)
    parser.add_argument("--validators", type=int, default=7)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--keep", action="store_true", help="leave the network running")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    with tempfile.TemporaryDirectory(prefix="testnet-", ignore_cleanup_errors=True) as scratch:
        folder = chosen.dir or Path(scratch) / "net"
        found = Found(chosen.posts, chosen.validators)
        try:
            net = _up(folder, found)
            measure(net, found)
        finally:
            if not chosen.keep and (folder / "testnet.json").exists():
                run(["testnet", "down", "--dir", str(folder)])
    for name, value in [] if chosen.json else found.lines():
        print(f"{name:<54} {value}")
    if chosen.json:
        print(json.dumps(asdict(found), indent=1))
    return 0 if found.is_met else 1


def _up(folder: Path, found: Found) -> Testnet:
    if (folder / "testnet.json").exists():
        net = Testnet(folder)
        found.posts, found.validators = len(net.codes), len(net.layout.engines)
        return net
    began = time.monotonic()
    size = ("--posts", str(found.posts), "--validators", str(found.validators))
    if run(["testnet", "up", *size, "--dir", str(folder)]):
        raise SystemExit(1)
    found.start_seconds = time.monotonic() - began
    return Testnet(folder)


def measure(net: Testnet, found: Found) -> None:
    """All but the start."""
    _say(f"a network of {len(net.codes)} posts comes to rest")
    _until(lambda: len(net.status().roots) == 1)
    _at_rest(net, found)
    _enrol(net)
    rest = f"{found.unshared_gib:.1f} GiB; one processor at rest: {found.node_idle_percent:.1f} % for a node"
    _say(f"{rest}; now the circular")
    passphrase = net.passphrase_file.read_bytes().strip()
    headquarters, *missions = net.codes
    cable = Composition(("ALL-MISSIONS",), Precedence.IMMEDIATE, Clearance.RESTRICTED, "Circular", TEXT)
    with open_terminal(net.home(headquarters) / "terminals" / OFFICER, passphrase) as terminal:
        began = time.monotonic()
        cable_id = terminal.send(cable).cable_id
        found.sealed = time.monotonic() - began
        _follow(net, terminal, cable_id, found, began)
    _say(f"delivered {_spread(found.delivered)}; proved {found.proved:.1f} s; every mission opens it")
    for code in missions:
        with open_terminal(net.home(code) / "terminals" / SUPERVISORS[0], passphrase) as terminal:
            terminal.sync()
            if terminal.read(cable_id).cable_id != cable_id:
                raise SystemExit(f"{code} read something else")
    found.opened = time.monotonic() - began


def _follow(net: Testnet, terminal: Terminal, cable_id: bytes, found: Found, began: float) -> None:
    """Until all missions have it and the terminal has checked its proof."""
    headquarters = net.codes[0]
    arrived: dict[str, float] = {}
    sizes: list[tuple[float, int, int]] = []

    def look() -> bool:
        said, tracked = net.ask(headquarters), terminal.track(cable_id)
        now = time.monotonic() - began
        sizes.append((now, said.log_size, said.policy_size))
        for one in tracked.progress:
            if one.state in FAR:
                arrived.setdefault(one.post, now)
        if tracked.anchored and not found.proved:
            found.proved = now
            found.anchored = next((at for at, size, _ in sizes if size > tracked.entry_index), now)
            found.quorum = next((at for at, _, size in sizes if size > tracked.entry_index), now)
        return bool(found.proved) and len(arrived) == len(net.codes) - 1

    _until(look)
    found.delivered = sorted(arrived.values())


def _at_rest(net: Testnet, found: Found) -> None:
    before, sent_before = net.status(), _carried(net)
    time.sleep(REST_SECONDS)
    after, sent = net.status(), _carried(net)
    nodes = [one.node for one in after.posts]
    engines = [one.engine for one in after.posts if one.engine.is_alive]
    found.node_mib = median(one.memory_bytes for one in nodes) / MIB
    found.engine_mib = median([one.memory_bytes for one in engines] or [0]) / MIB
    found.resident_gib = after.memory_bytes / MIB / 1024
    found.unshared_gib = sum(unshared_bytes(one.pid) for one in after.all_processes if one.is_alive) / MIB / 1024
    took = _cpu(after) - _cpu(before), _engines_cpu(after) - _engines_cpu(before)
    found.node_idle_percent = 100 * took[0] / REST_SECONDS / len(nodes)
    found.engine_idle_percent = 100 * took[1] / REST_SECONDS / max(1, len(engines))
    last = net.codes[-1]
    found.idle_bytes_per_day = (sent[last] - sent_before[last]) * 86_400 / REST_SECONDS


def _cpu(status: NetworkStatus) -> float:
    return sum(one.node.cpu_seconds for one in status.posts)


def _engines_cpu(status: NetworkStatus) -> float:
    return sum(one.engine.cpu_seconds for one in status.posts)


def _carried(net: Testnet) -> dict[str, int]:
    state = net.relay.state()
    return {code: state["sent_bytes"].get(code, 0) + state["received_bytes"].get(code, 0) for code in net.codes}


def _enrol(net: Testnet) -> None:
    home = net.home(net.codes[0])
    if (home / "terminals" / OFFICER).exists():
        return
    options = ["--role", "drafter,releaser", "--clearance", "SECRET", "--passphrase-file", str(net.passphrase_file)]
    command = [sys.executable, "-m", "cli.main", "officer", "enrol", OFFICER, "--home", str(home), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("it takes too long")
        time.sleep(LOOK_SECONDS)


def _say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except DutabartaError as problem:
        sys.exit(f"error: {problem} [{problem.code}]")
