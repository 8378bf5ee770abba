"""Open the store, run units in one transaction each, and stop at the first storage error."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from node.store.tables import REVISION
from protos.errors import Malformed, Unavailable

FAIL_AT = "DUTABARTA_FAIL_AT"
_MIGRATIONS = Path(__file__).with_name("migrations")
_WRITES = ("INSERT", "UPDATE", "DELETE")


class StoreFailed(Unavailable):
    """The database could not do what it was asked. Nothing of the unit was kept; the node must stop."""


class FailPoints:
    """Tests kill the process at its n-th write point: each write statement, and before and after each commit."""

    def __init__(self, fail_at: int) -> None:
        self._left = fail_at

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Database:
    """The store of one node. Used from one thread; `write` and `read` never nest."""

    def __init__(self, url: str, *, fail_at: int = 0) -> None:
        """`url` is a SQLAlchemy URL. Makes and migrates what is missing. Raises `StoreFailed`, `Malformed`."""
        self._failure: StoreFailed | None = None
        self._point: Callable[[], None] = FailPoints(fail_at) if fail_at else lambda: None
        self._listeners: list[Callable[[StoreFailed], None]] = []
        self._engine = _engine(url, self._point)
        with self._guarded():
            _migrate(self._engine)

    @classmethod
    def open_file(cls, path: Path) -> Database:
        """The SQLite store at `path`, made with mode 0600; honours the fail point of the environment."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as problem:
            raise _failed(problem) from problem
        return cls.open_url(sqlite_url(path))

    @classmethod
    def open_url(cls, url: str) -> Database:
        """The store at a SQLAlchemy URL; honours the fail point of the environment."""
        return cls(url, fail_at=int(os.environ.get(FAIL_AT, "0")))

    def close(self) -> None:
        """Release the file."""
        self._engine.dispose()

    def on_failure(self, listener: Callable[[StoreFailed], None]) -> None:
        """Call `listener` once, at the first storage error."""
        self._listeners.append(listener)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One unit: all of it is durable when the block ends, or none of it."""
        with self._guarded(), self._engine.connect() as connection:
            with connection.begin():
                yield connection
                self._point()
            self._point()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view."""
        with self._guarded(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as problem:
            self._failure = _failed(problem)
            for listener in self._listeners:
                listener(self._failure)
            raise self._failure from problem


@contextmanager
def storage_errors() -> Iterator[None]:
    """Files beside the database fail as it does: `OSError` becomes `StoreFailed`."""
    try:
        yield
    except OSError as problem:
        raise _failed(problem) from problem


def sqlite_url(path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file."""
    return f"sqlite:///{path}"


def _engine(url: str, point: Callable[[], None]) -> Engine:
    try:
        parsed = make_url(url)
        options = {"isolation_level": "REPEATABLE READ"} if parsed.get_backend_name() == "postgresql" else {}
        engine = create_engine(parsed, **options)
    except (ArgumentError, NoSuchModuleError, ImportError) as problem:
        raise Malformed(
            "bad-database",
            "the database URL cannot be used",
            hint="see docs/operator; leave it out for the SQLite file beside the configuration",
        ) from problem

    @event.listens_for(engine, "before_cursor_execute")
    def count(_c: Any, _cursor: Any, statement: str, _p: Any, _context: Any, _many: bool) -> None:
        if statement.startswith(_WRITES):
            point()

    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    """WAL with full sync, and real transactions: pysqlite's own begin comes too late for consistent reads."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("busy_timeout=5000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        if _revision(connection) == REVISION:
            return
    from alembic import command  # only a new or old store pays for loading it
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as problem:
            text = "the store was made by a newer program than this one"
            raise Malformed("store-version", text, hint="update this program") from problem


def _revision(connection: Connection) -> str | None:
    """The migration that the store is at, as Alembic noted it; None in a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _failed(problem: BaseException) -> StoreFailed:
    """Say what happened in words an operator can act on; statements and values stay out of it."""
    cause = problem.orig if isinstance(problem, DBAPIError) else problem
    text = str(cause)
    number = cause.errno if isinstance(cause, OSError) else None
    if "disk is full" in text or number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreFailed("disk-full", "the disk is full", hint="free space, then start the node again")
    if "readonly" in text or "read-only" in text or number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StoreFailed(
            "disk-read-only",
            "the store cannot be written",
            hint="check the owner and mode of the folder and whether the disk is mounted read-only",
        )
    if "malformed" in text or "not a database" in text:
        return StoreFailed(
            "store-damaged",
            "the database file is damaged",
            hint="restore a backup, or move node.db away and join again",
        )
    return StoreFailed(
        "store-failed",
        f"the store failed: {text.splitlines()[0] if text else type(cause).__name__}",
        hint="check the disk, then start the node again",
    )
