"""A terminal's folder destroyed, file by file, its keystore first (docs/protocol/terminal-folder.md).

Everything sealed in the folder opens with a key from the keystore: once that is gone, the rest is ciphertext without
a key. It is overwritten all the same. What a file system or an SSD has copied elsewhere is out of reach.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from protos.errors import Unavailable
from terminal.failpoint import reach
from terminal.files import sync_folder

PIECE_BYTES = 1 << 20
KEYSTORE = "keystore"
CONFIG, LOCK = "config.toml", "lock"


def destroy(folder: Path, keep: str) -> None:
    """Overwrite and remove everything but config.toml, the lock and the file `keep`. May be repeated after a kill.

    Raises `Unavailable("not-destroyed")` when the disk does not allow it; what is gone by then stays gone.
    """
    _try(folder, [*folder.glob(f"{KEYSTORE}*"), *_others(folder, {CONFIG, LOCK, keep})])


def remove_rest(folder: Path, kept: str) -> None:
    """Remove the file `kept`, then what still made the folder a terminal, then the folder."""
    _try(folder, [one for name in (kept, CONFIG, LOCK) if (one := folder / name).exists()])
    folder.rmdir()
    sync_folder(folder.parent)


def _try(folder: Path, paths: list[Path]) -> None:
    try:
        for path in paths:
            _erase(path)
    except OSError as problem:
        raise Unavailable(
            "not-destroyed",
            f"could not destroy {problem.filename}: {problem.strerror}",
            hint="make the folder writable and give the same command again; else destroy the disk",
            path=str(folder),
        ) from problem


def _others(folder: Path, spared: set[str]) -> Iterator[Path]:
    """Files, links and folders, what is inside a folder before it; nothing is followed out of it."""
    for root, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(root) / name
            if not (path.parent == folder and (name in spared or name.startswith(KEYSTORE))):
                yield path


def _erase(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        if path.is_file() and not path.is_symlink():
            _overwrite(path)
        path.unlink()
    sync_folder(path.parent)
    reach()


def _overwrite(path: Path) -> None:
    left = path.stat().st_size
    with path.open("r+b") as file:
        while left > 0:
            piece = secrets.token_bytes(min(left, PIECE_BYTES))
            left -= file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    reach()
