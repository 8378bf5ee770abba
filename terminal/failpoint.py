"""Points at which a test kills the process: DUTABARTA_FAIL_AT=N ends it with SIGKILL at its N-th write point."""

from __future__ import annotations

import os
import signal

_left = int(os.environ.get("DUTABARTA_FAIL_AT", "0") or 0)


def reach() -> None:
    """A write point: before and after everything that becomes durable or leaves this process."""
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
