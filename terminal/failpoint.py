"""Named points at which a test kills the process: DUTABARTA_FAIL_AT=NAME, or NAME:N for the N-th time."""

from __future__ import annotations

import os
import signal

_target, _, _count = os.environ.get("DUTABARTA_FAIL_AT", "").partition(":")
_left = int(_count) if _count.isdigit() else 1


def reach(name: str) -> None:
    """Kill this process with SIGKILL if the environment names this point; else do nothing."""
    global _left
    if name != _target:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
