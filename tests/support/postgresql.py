"""A real PostgreSQL server of the machine's own package, in a folder of its own, on a Unix socket."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

OWNER = "dutabarta"
USERS = ("postgres", "nobody")
START_SECONDS = 60.0


class Missing(Exception):
    """What a skipped test says."""


class PostgreSQL:
    """A running server. Raises `Missing` where the machine has none."""

    def __init__(self) -> None:
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or _on_path()
        if not programs:
            raise Missing("needs postgresql (Debian: apt-get install postgresql)")
        self._bin = programs[-1].parent
        self._folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._as = {"user": _unprivileged()} if os.getuid() == 0 else {}
        if self._as:
            shutil.chown(self._folder, **self._as)
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        command = [self._bin / "postgres", "-D", data, "-k", self._folder, "-c", "listen_addresses="]
        with (self._folder / "log").open("wb") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._as)  # type: ignore[call-overload]
        self._wait()

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of one of its databases."""
        return f"postgresql+psycopg://{OWNER}@/{database}?host={self._folder}"

    def new_database(self) -> str:
        """The URL of a database of its own."""
        name = f"t{secrets.token_hex(8)}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def stop(self) -> None:
        """End it, and remove everything of it."""
        self._server.send_signal(signal.SIGINT)  # at once, whoever is still connected
        self._server.wait(timeout=START_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([self._bin / program, *arguments], capture_output=True, cwd="/", check=False, **self._as)  # type: ignore[call-overload]
        if done.returncode:
            raise RuntimeError(done.stderr.decode())

    def _wait(self) -> None:
        engine, deadline = create_engine(self.url("postgres")), time.monotonic() + START_SECONDS
        while True:
            try:
                engine.connect().close()
                break
            except OperationalError:
                if time.monotonic() > deadline or self._server.poll() is not None:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.05)
        engine.dispose()


def _on_path() -> list[Path]:
    found = shutil.which("initdb")
    return [Path(found).resolve()] if found else []


def _unprivileged() -> str:
    """PostgreSQL does not run as root."""
    import pwd

    for name in USERS:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Missing("needs postgresql and a user to run it as: postgres or nobody")
