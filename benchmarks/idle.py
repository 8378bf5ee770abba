"""A network on which nothing happens: memory, processor time and bytes of a validator and a follower; then some cables.

Four validators and three followers, real daemons. Everything that one follower sends and receives goes through relays
that count it. Bytes of a day are those of the interval, extrapolated: keep-alives come every 30 s, the heartbeat block
every 10 minutes. Cables are spread as over a day: each has slots, batches, checkpoints and receipts of its own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex

from benchmarks.council import PASSPHRASE, VALIDATORS, Council, lacking
from benchmarks.harness import Row
from benchmarks.meter import Meter
from benchmarks.processes import Usage, usage
from crypto_msg.cable import Precedence
from ledger.roles import Clearance
from terminal.compose import Composition
from terminal.terminal import open_terminal

FOLLOWERS = ("PAR", "TYO", "CAI")
COUNTED, OTHER = FOLLOWERS[:2]
VALIDATOR = VALIDATORS[0]
QUIET_SECONDS = 60.0
CABLES = 8
CABLE_SECONDS = 6.0
TAIL_SECONDS = 12.0
CABLES_A_DAY = 200
TEXT_BYTES = 1024
DAY = 86_400


def rows() -> Iterator[Row]:
    if missing := list(lacking()):
        yield from missing
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        Meter() as meter,
        Council(Path(folder), FOLLOWERS, meter=(meter, COUNTED)) as council,
    ):
        council.start(*council.codes)
        council.settle()
        yield from _idle_rows(council, meter)
        yield _cable_row(council, meter)


def _idle_rows(council: Council, meter: Meter) -> Iterator[Row]:
    processes = {
        "validator's node": council.nodes[VALIDATOR].child.pid,
        "validator's engine": council.engine_process(VALIDATOR),
        "follower": council.nodes[COUNTED].child.pid,
    }
    before, counted = {name: usage(one) for name, one in processes.items()}, meter.bytes
    time.sleep(QUIET_SECONDS)
    sent = meter.bytes - counted
    after = {name: usage(one) for name, one in processes.items()}
    for name in processes:
        yield from _process_rows(name, before[name], after[name])
    yield Row("idle follower, sent and received", sent * DAY / QUIET_SECONDS, None, "bytes/day", "", None)


def _process_rows(name: str, before: Usage, after: Usage) -> Iterator[Row]:
    yield Row(f"idle {name}, memory", after.memory / 2**20, None, "MiB", "", None)
    yield Row(
        "  its growth in a minute", (after.memory - before.memory) / 1024 * 60 / QUIET_SECONDS, None, "KiB", "", None
    )
    yield Row(
        "  processor time", (after.seconds - before.seconds) * 1000 / QUIET_SECONDS, None, "ms a second", "", None
    )
    yield Row("  wake-ups", (after.wakeups - before.wakeups) / QUIET_SECONDS, None, "a second", "", None)


def _cable_row(council: Council, meter: Meter) -> Row:
    """Half of the cables go out, half come in."""
    with ExitStack() as stack:
        ends = {one: stack.enter_context(open_terminal(council.terminal(one), PASSPHRASE)) for one in (COUNTED, OTHER)}
        start, counted = time.monotonic(), meter.bytes
        for number in range(CABLES):
            sender, reader = (COUNTED, OTHER) if number % 2 else (OTHER, COUNTED)
            ends[sender].send(_cable_to(reader))
            ends[reader].sync()  # it takes what has come since, and receipts go back
            time.sleep(max(0.0, start + (number + 1) * CABLE_SECONDS - time.monotonic()))
        time.sleep(TAIL_SECONDS)
    each = (meter.bytes - counted) / CABLES
    name = f"follower with {CABLES_A_DAY} cables of 1 KB a day"
    return Row(name, each * CABLES_A_DAY, None, "bytes/day", "", None)


def _cable_to(post: str) -> Composition:
    return Composition((post,), Precedence.ROUTINE, Clearance.UNCLASSIFIED, "bench", token_hex(TEXT_BYTES // 2))
