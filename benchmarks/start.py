"""How long `dutabarta --help` takes to answer, beside a Python that does nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from time import perf_counter

from benchmarks.harness import Row

ROUNDS = 15
AIM_MS = 150
HELP = "import sys; sys.argv = ['dutabarta', '--help']; from cli.main import main; sys.exit(main())"


def rows() -> Iterator[Row]:
    """One row: help over bare Python; the aim, at most 150 ms more, is written as the ratio that it means here."""
    pairs = [(_milliseconds(HELP), _milliseconds("pass")) for _ in range(ROUNDS)]
    ours, bare = median(one for one, _ in pairs), median(other for _, other in pairs)
    yield Row("dutabarta --help", ours, bare, "ms", "python -c pass", ours / bare, round((bare + AIM_MS) / bare, 2))


def _milliseconds(program: str) -> float:
    start = perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    taken = (perf_counter() - start) * 1e3
    if done.returncode != 0:
        raise RuntimeError(f"{program!r} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return taken
