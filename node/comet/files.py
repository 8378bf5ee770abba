"""Writing the engine's files."""

from __future__ import annotations

import json
import os
from pathlib import Path


def write_file(path: Path, data: bytes) -> None:
    """Replace a file (0600): the old one or the whole new one is there after a power cut."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def json_bytes(value: object) -> bytes:
    """JSON for the engine and for people."""
    return json.dumps(value, indent=2).encode()
