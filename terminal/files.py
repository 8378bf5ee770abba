"""Small private files, replaced whole: a reader sees the old bytes or the new ones, also after SIGKILL."""

from __future__ import annotations

import os
from pathlib import Path

from protos.errors import Unavailable
from terminal.failpoint import reach


def write_private(path: Path, data: bytes) -> None:
    """Replace `path` (mode 0600) durably: temporary file, fsync, rename, fsync of the folder.

    Raises `Unavailable("disk-failed")` if the disk is full or read-only; the old file is then unchanged.
    """
    temporary = path.with_name(path.name + ".new")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        reach()
        temporary.replace(path)
        sync_folder(path.parent)
        reach()
    except OSError as problem:
        raise Unavailable(
            "disk-failed",
            f"could not write {path.name}: {problem.strerror}",
            hint="free some space or make the folder writable; nothing was changed",
            path=str(path),
        ) from problem


def make_private_folder(path: Path) -> None:
    """Make `path` (mode 0700) with its parents. Raises `Unavailable("disk-failed")`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise Unavailable(
            "disk-failed", f"could not make {path}: {problem.strerror}", hint="check the folder's owner", path=str(path)
        ) from problem


def sync_folder(path: Path) -> None:
    """Make what was renamed, made or removed in a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
