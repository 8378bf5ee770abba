"""`dutabarta` many times over in processes of their own: a server that has loaded everything forks one per command.

Run as a program it is the server: it reads one JSON request a line and answers one JSON line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.processes import ROOT, Ended, plain


class Forked:
    """Runs commands; `fail_at` kills one with SIGKILL at its n-th write point (exit code -9)."""

    def __init__(self, passphrase_file: Path, folder: Path) -> None:
        self._folder = folder
        paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
        environment = plain({"DUTABARTA_PASSPHRASE_FILE": str(passphrase_file), "PYTHONPATH": paths})
        self._server = subprocess.Popen(
            [sys.executable, "-m", "support.forked"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.communicate()

    def __call__(self, *arguments: str | Path, stdin: bytes = b"", fail_at: int = 0) -> Ended:
        """Run one command to its end."""
        assert self._server.stdin is not None and self._server.stdout is not None
        files = [self._folder / name for name in ("stdin", "stdout", "stderr")]
        files[0].write_bytes(stdin)
        request = {"arguments": [*map(str, arguments), "--json"], "files": [*map(str, files)], "fail_at": fail_at}
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._server.stdin.flush()
        code = json.loads(self._server.stdout.readline())
        return Ended(code, files[1].read_text(), files[2].read_text())


def serve() -> None:
    """Fork one process per request; answer its exit code, negative for a signal."""
    import terminal.compose
    import terminal.terminal  # noqa: F401

    for line in sys.stdin.buffer:
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(request: dict[str, Any]) -> None:
    from cli.main import run
    from terminal import failpoint

    code = 70
    try:
        for number, path in enumerate(request["files"]):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | (os.O_TRUNC if number else 0), 0o600), number)
        failpoint._left = request["fail_at"]
        code = run(request["arguments"])
        sys.stdout.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
