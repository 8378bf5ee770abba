"""The engine's program: where it is, and that it is the one version these rules were tested with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from protos.errors import Refused, Unavailable

VERSION = "0.38.25"
_NAME = "cometbft"
_BUILT = Path(__file__).parents[2] / "engine" / "bin" / _NAME
_VERSION_SECONDS = 20


def find_program(configured: str = "") -> Path:
    """The engine to run: the configured file, else beside this Python, else where `make engine` puts it.

    Raises `Unavailable("no-engine")`, `Refused("wrong-engine-version")`.
    """
    candidates = [Path(configured)] if configured else [Path(sys.executable).with_name(_NAME), _BUILT]
    program = next((one for one in candidates if one.is_file()), None)
    if program is None:
        raise Unavailable("no-engine", "there is no CometBFT on this machine", hint="run: make engine")
    check_version(program)
    return program


def check_version(program: Path) -> None:
    """Ask the program itself. Raises `Refused("wrong-engine-version")`, `Unavailable("no-engine")`."""
    try:
        done = subprocess.run([program, "version"], capture_output=True, timeout=_VERSION_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as problem:
        raise Unavailable("no-engine", f"{program} does not run: {problem}", hint="run: make engine") from problem
    found = done.stdout.decode(errors="replace").strip()[:40]
    if found != VERSION:
        raise Refused(
            "wrong-engine-version",
            f"{program} is CometBFT {found}, not {VERSION}",
            hint="run: make engine",
            found=found,
            wanted=VERSION,
        )
