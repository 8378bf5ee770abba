"""What the kernel says of running programs: memory, processor time, wake-ups (proc(5))."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes that are the process's own or its share of what is shared (PSS); seconds of processor time; wake-ups."""

    memory: int
    seconds: float
    wakeups: int


def usage(process: int) -> Usage:
    """Of one process, with all its threads."""
    folder = Path("/proc") / str(process)
    pss = re.search(r"(?m)^Pss: +(\d+) kB", (folder / "smaps_rollup").read_text())
    times = (folder / "stat").read_text().rpartition(")")[2].split()
    wakeups = 0
    for thread in (folder / "task").iterdir():
        found = re.search(r"(?m)^voluntary_ctxt_switches:\s+(\d+)", (thread / "status").read_text())
        wakeups += int(found[1]) if found else 0
    seconds = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
    return Usage(int(pss[1]) * 1024 if pss else 0, seconds, wakeups)


def children(process: int) -> list[int]:
    """The processes that its threads have started and that still run."""
    tasks = (Path("/proc") / str(process) / "task").iterdir()
    return [int(one) for task in tasks for one in (task / "children").read_text().split()]
