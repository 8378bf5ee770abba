"""The tables of a terminal's local store, and how its SQLite file is opened (docs/protocol/terminal-folder.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)

from protos.errors import Malformed

SCHEMA_VERSION = 2
"""2 added `wrap`, `ask`, `part`, `link`, `distribution`, `notice`, `watch`, `call` and `talk`."""
metadata = MetaData()

setting = Table("setting", metadata, Column("name", String, primary_key=True), Column("content", LargeBinary))
cable = Table(
    "cable",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("envelope", LargeBinary, unique=True),
    Column("cable", LargeBinary, index=True),
    Column("box", String, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
envelope = Table(
    "envelope",
    metadata,
    Column("envelope", LargeBinary, primary_key=True),
    Column("head", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
receipt = Table(
    "receipt",
    metadata,
    Column("slot", LargeBinary, primary_key=True),
    Column("envelope", LargeBinary, index=True),
    Column("content", LargeBinary, nullable=False),
)
job = Table(
    "job",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("slot", LargeBinary, unique=True),
    Column("content", LargeBinary, nullable=False),
)
counter = Table("counter", metadata, Column("slot", LargeBinary, primary_key=True), Column("content", LargeBinary))
proof = Table("proof", metadata, Column("envelope", LargeBinary, primary_key=True), Column("content", LargeBinary))
aside = Table("aside", metadata, Column("slot", LargeBinary, primary_key=True), Column("content", LargeBinary))
wrap = Table(
    "wrap",
    metadata,
    Column("slot", LargeBinary, primary_key=True),
    Column("envelope", LargeBinary, index=True),
    Column("content", LargeBinary, nullable=False),
)
ask = Table(
    "ask",
    metadata,
    Column("slot", LargeBinary, primary_key=True),
    Column("open", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
call = Table(
    "call",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("slot", LargeBinary, unique=True),
    Column("content", LargeBinary, nullable=False),
)
talk = Table(
    "talk",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("slot", LargeBinary, unique=True),
    Column("call", LargeBinary, index=True),
    Column("content", LargeBinary, nullable=False),
)
link = Table(
    "link",
    metadata,
    Column("slot", LargeBinary, primary_key=True),
    Column("earlier", LargeBinary, index=True),
    Column("content", LargeBinary, nullable=False),
)
distribution = Table(
    "distribution", metadata, Column("slot", LargeBinary, primary_key=True), Column("content", LargeBinary)
)
part = Table(
    "part",
    metadata,
    Column("owner", LargeBinary, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("envelope", LargeBinary, index=True),
    Column("content", LargeBinary, nullable=False),
)

notice = Table(
    "notice",
    metadata,
    Column("slot", LargeBinary, primary_key=True),
    Column("envelope", LargeBinary, index=True),
    Column("kind", String, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

watch = Table("watch", metadata, Column("slot", LargeBinary, primary_key=True), Column("content", LargeBinary))


def open_engine(path: Path) -> Engine:
    """An engine whose transactions begin at once and are durable when they end."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None, "timeout": 30.0})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA synchronous=EXTRA")
        connection.execute("PRAGMA secure_delete=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def prepare(connection: Connection) -> None:
    """Make the tables that a store has not yet. Raises `Malformed("store-version")` for one of another schema."""
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version == SCHEMA_VERSION:
        return
    if version > SCHEMA_VERSION:
        raise Malformed(
            "store-version", f"the store has schema {version}, this program knows {SCHEMA_VERSION}", hint="update it"
        )
    metadata.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
