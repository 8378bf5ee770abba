"""The schema of a node's store. Ids, hashes and keys are bytes; times are POSIX seconds; sizes count leaves."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

REVISION = "0003"
"""The newest of migrations/versions, which make these tables."""

METADATA = MetaData()
_Count = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER is SQLite's own row number


def _bytes(name: str, *, key: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, primary_key=key, nullable=False)


def _count(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, _Count, primary_key=key, nullable=False, autoincrement=False)


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, String, primary_key=key, nullable=False)


META = Table("meta", METADATA, _text("name", key=True), _bytes("value"))

# --- the log ---
LEAVES = Table("leaves", METADATA, _count("position", key=True), _bytes("hash"), _bytes("data"))
BLOCKS = Table("blocks", METADATA, _count("size", key=True), _count("start"), _bytes("root"))
NOTES = Table("notes", METADATA, _text("kind", key=True), _count("size", key=True), _bytes("note"))
COSIGNATURES = Table(
    "cosignatures", METADATA, _text("post", key=True), _count("size", key=True), _bytes("root"), _bytes("line")
)
SIGN_STATE = Table(
    "sign_state",
    METADATA,
    _text("role", key=True),
    _count("size"),
    _bytes("root"),
    _bytes("frontier"),
    _count("at"),
    _bytes("note"),
)
PENDING = Table(
    "pending",
    METADATA,
    _bytes("leaf_hash", key=True),
    _bytes("leaf"),
    _text("code"),
    _text("text"),
    _count("at"),
)
EVIDENCE = Table("evidence", METADATA, _text("signer", key=True), _text("kind"), _bytes("content"), _count("at"))

# --- anchoring ---
BATCHES = Table("batches", METADATA, _count("sequence", key=True), _bytes("leaf"), _bytes("hashes"), _count("position"))
SLOT_ITEMS = Table(
    "slot_items",
    METADATA,
    Column("number", _Count, primary_key=True, autoincrement=True),
    Column("item_hash", LargeBinary, nullable=False, unique=True),
    _text("kind"),
    _bytes("salt"),
    _bytes("envelope_id"),
    Column("sequence", _Count, ForeignKey(BATCHES.c.sequence), nullable=True),
    _count("place"),
    sqlite_autoincrement=True,
)
PROOFS = Table(
    "proofs",
    METADATA,
    _bytes("envelope_id", key=True),
    _text("kind", key=True),
    _bytes("item_hash", key=True),
    _bytes("proof"),
)

TRANSCRIPTS = Table(
    "transcripts",
    METADATA,
    _bytes("item_hash", key=True),
    _count("at"),
)

# --- the courier ---
BODIES = Table(
    "bodies",
    METADATA,
    _bytes("envelope_id", key=True),
    _count("length"),
    Column("whole", Boolean, nullable=False),
)
BODY_PARTS = Table(
    "body_parts",
    METADATA,
    Column("envelope_id", LargeBinary, ForeignKey(BODIES.c.envelope_id, ondelete="CASCADE"), primary_key=True),
    _count("offset", key=True),
    _count("length"),
    _bytes("data"),
)
ITEMS = Table(
    "items",
    METADATA,
    _bytes("item_id", key=True),
    _count("kind"),
    _text("origin"),
    _text("destination"),
    _count("precedence"),
    _count("expires_at"),
    _count("size_seen"),
    _bytes("head"),
    _count("body_length"),
    _bytes("envelope_id"),
    _text("state"),
    _count("arrival"),
    _count("at"),
)
ENVELOPES = Table(
    "envelopes",
    METADATA,
    _bytes("envelope_id", key=True),
    _bytes("cable_id"),
    _text("origin"),
    _bytes("terminal_id"),
    _bytes("body_root"),
    _count("precedence"),
    _count("expires_at"),
    Column("draft", Boolean, nullable=False),
)
INBOX = Table(
    "inbox",
    METADATA,
    Column("position", _Count, primary_key=True, autoincrement=True),
    _bytes("terminal_id"),
    _count("kind"),
    _bytes("content"),
    _count("body_length"),
    _text("origin"),
    _bytes("envelope_id"),
    _bytes("item_id"),
    UniqueConstraint("terminal_id", "item_id"),
    sqlite_autoincrement=True,
)
POSITIONS = Table("positions", METADATA, _bytes("terminal_id", key=True), _count("position"))
HOPS = Table("hops", METADATA, _bytes("envelope_id", key=True), _text("post", key=True), _text("state"), _count("at"))
TRAFFIC = Table(
    "traffic", METADATA, _count("day", key=True), _text("post", key=True), _count("sent"), _count("received")
)
CABLE_TRAFFIC = Table("cable_traffic", METADATA, _bytes("envelope_id", key=True), _count("sent"), _count("received"))

# --- what terminals deposit ---
BUNDLES = Table(
    "bundles",
    METADATA,
    _bytes("bundle_hash", key=True),
    _bytes("terminal_id"),
    _bytes("signed_bundle"),
    _count("arrival"),
)
OPENINGS = Table("openings", METADATA, _bytes("officer_id", key=True), _bytes("salt"), _text("name"))
SERIALS = Table(
    "serials",
    METADATA,
    _count("year", key=True),
    _count("serial", key=True),
    _bytes("cable_id"),
    UniqueConstraint("cable_id", "year"),
)
ALARMS = Table(
    "alarms",
    METADATA,
    _text("code", key=True),
    _text("subject", key=True),
    _text("text"),
    _count("at"),
)

Index("items_by_state", ITEMS.c.state, ITEMS.c.destination)
Index("items_of_envelope", ITEMS.c.envelope_id)
Index("inbox_of_item", INBOX.c.item_id)
Index("inbox_of_terminal", INBOX.c.terminal_id, INBOX.c.position)
Index("inbox_of_envelope", INBOX.c.envelope_id)
Index("slot_items_batch", SLOT_ITEMS.c.sequence)
Index("leaves_by_hash", LEAVES.c.hash)
Index("bundles_of_terminal", BUNDLES.c.terminal_id)
Index("envelopes_of_cable", ENVELOPES.c.cable_id)
