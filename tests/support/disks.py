"""Disks that are full or cannot be written, for one program: real ones where this machine may mount, else the like.

A full disk: a small tmpfs, or a limit on how far any file may grow (EFBIG instead of ENOSPC).
A read-only disk: a read-only mount, or files and folders without write permission (EACCES instead of EROFS), for a
program that has given up root's power to write all the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

BLOCK = 512
_LIMIT = 'trap "" XFSZ; ulimit -f "$0"; exec "$@"'
_READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
_WITHOUT_OVERRIDE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
if os.geteuid() == 0 and libc.prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0):
    raise OSError(ctypes.get_errno(), "root could not give up CAP_DAC_OVERRIDE")
os.execvp(sys.argv[1], sys.argv[1:])
"""


@cache
def may_mount() -> bool:
    """Whether this process may mount: root with all its powers."""
    test = ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt && mount -o remount,bind,ro /mnt"]
    try:
        return os.geteuid() == 0 and subprocess.run(test, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def growing_to(size: int) -> list[str]:
    """Runs a program that can write no file beyond `size` bytes."""
    return ["sh", "-c", _LIMIT, str(size // BLOCK)]


def mounted_read_only(folder: Path) -> list[str]:
    """Runs a program to which `folder` is a read-only disk. Needs `may_mount`."""
    return ["unshare", "-m", "sh", "-c", _READ_ONLY, str(folder)]


def obeying_permissions() -> list[str]:
    """Runs a program that writes only what its permissions allow, also as root."""
    return [sys.executable, "-c", _WITHOUT_OVERRIDE]


@contextmanager
def without_write_permission(folder: Path) -> Iterator[None]:
    """Take away the write permission of the folder and all in it, and give it back."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


class SmallDisk:
    """A tmpfs in place of a folder, with the folder's files on it. Needs `may_mount`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        copy = folder.with_name(folder.name + ".moved")
        folder.rename(copy)
        folder.mkdir(mode=0o700)
        self._mount("-t", "tmpfs", "-o", "size=256m,mode=700", "tmpfs")
        shutil.copytree(copy, folder, dirs_exist_ok=True)
        shutil.rmtree(copy)

    def leave_free(self, size: int) -> None:
        """Make the disk so small that `size` bytes are free."""
        used = shutil.disk_usage(self._folder).used
        self._mount("-o", f"remount,size={used + size}")

    def enlarge(self) -> None:
        """Make room again."""
        self._mount("-o", "remount,size=256m")

    def close(self) -> None:
        """Move the files back and unmount."""
        copy = self._folder.with_name(self._folder.name + ".moved")
        shutil.copytree(self._folder, copy)
        subprocess.run(["umount", "-l", str(self._folder)], check=True)
        self._folder.rmdir()
        copy.rename(self._folder)

    def _mount(self, *options: str) -> None:
        subprocess.run(["mount", *options, str(self._folder)], check=True)
