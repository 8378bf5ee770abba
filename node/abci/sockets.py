"""Addresses of unix sockets. The kernel takes some 100 bytes; folders may be deeper."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from protos.errors import Refused

MAX_SOCKET_PATH = 100
_OPEN_FOLDERS = Path("/proc/self/fd")


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """What to bind or dial for the socket at `path`: a long path goes by way of its open folder (Linux).

    Raises `Refused("path-too-long")` where that cannot be done.
    """
    if len(bytes(path)) <= MAX_SOCKET_PATH:
        yield str(path)
        return
    if not _OPEN_FOLDERS.is_dir():
        raise Refused(
            "path-too-long",
            f"{path} is too long for a socket: over {MAX_SOCKET_PATH} bytes",
            hint="choose a shorter folder for the post",
            path=path,
        )
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"{_OPEN_FOLDERS}/{folder}/{path.name}"
    finally:
        os.close(folder)
