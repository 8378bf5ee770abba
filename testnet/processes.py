"""Processes that outlive the command which started them: started, told from others, measured, ended. Linux only."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STATE, _PARENT, _USER_TIME, _SYSTEM_TIME, _START, _RESIDENT = 0, 1, 11, 12, 19, 21
"""Fields of /proc/PID/stat after the name (proc_pid_stat(5), counted from field 3)."""
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """A process id, and when the kernel says that it began (clock ticks since boot): ids are given again."""

    pid: int
    began: int

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # of a child of this very process, take the exit code
        fields = _stat(self.pid)
        return fields is not None and fields[_STATE] not in "ZX" and int(fields[_START]) == self.began


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process takes: resident memory, CPU time since it began."""

    memory_bytes: int = 0
    cpu_seconds: float = 0.0


def start_process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """Start `command` in a session of its own; what it says is appended to `log`. Raises OSError."""
    appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), appending, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(command[0], list(command), environment, file_actions=files, setsid=True)
    fields = _stat(pid)
    return Process(pid, int(fields[_START]) if fields else 0)


def kill(process: Process) -> None:
    """End a process and its children, as a power cut would; returns when they are gone."""
    if not process.is_alive:
        return
    family = [process, *children().get(process.pid, ())]
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    while any(one.is_alive for one in family):
        time.sleep(LOOK_SECONDS)


def stop(processes: Sequence[Process], seconds: float) -> None:
    """SIGTERM to all; SIGKILL to whichever has not ended after `seconds`."""
    for one in processes:
        if one.is_alive:
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while any(one.is_alive for one in processes) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    for one in processes:
        kill(one)


def usage_of(pid: int) -> Usage:
    """What a process takes now; nothing if there is none."""
    fields = _stat(pid)
    if fields is None:
        return Usage()
    ticks = int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])
    return Usage(int(fields[_RESIDENT]) * _PAGE_BYTES, ticks / _TICKS)


def children() -> dict[int, list[Process]]:
    """Every process's children, by its id."""
    found: dict[int, list[Process]] = {}
    for path in _PROC.iterdir():
        if path.name.isdigit() and (fields := _stat(int(path.name))) is not None:
            found.setdefault(int(fields[_PARENT]), []).append(Process(int(path.name), int(fields[_START])))
    return found


def _stat(pid: int) -> list[str] | None:
    """/proc/PID/stat after the name, which may hold anything; None if there is no such process."""
    try:
        return (_PROC / str(pid) / "stat").read_text("ascii", "replace").rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
