"""The first schema"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "alarms",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("at", COUNT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("code", "subject"),
    )
    op.create_table(
        "batches",
        sa.Column("sequence", COUNT, autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.Column("position", COUNT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
    )
    op.create_table(
        "blocks",
        sa.Column("size", COUNT, autoincrement=False, nullable=False),
        sa.Column("start", COUNT, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "bodies",
        sa.Column("envelope_id", sa.LargeBinary(), nullable=False),
        sa.Column("length", COUNT, autoincrement=False, nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("envelope_id"),
    )
    op.create_table(
        "bundles",
        sa.Column("bundle_hash", sa.LargeBinary(), nullable=False),
        sa.Column("terminal_id", sa.LargeBinary(), nullable=False),
        sa.Column("signed_bundle", sa.LargeBinary(), nullable=False),
        sa.Column("arrival", COUNT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("bundle_hash"),
    )
    op.create_index("bundles_of_terminal", "bundles", ["terminal_id"], unique=False)
    op.create_table(
        "cosignatures",
        sa.Column("post", sa.String(), nullable=False),
        sa.Column("size", COUNT, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("post", "size"),
    )
    op.create_table(
        "envelopes",
        sa.Column("envelope_id", sa.LargeBinary(), nullable=False),
        sa.Column("cable_id", sa.LargeBinary(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("terminal_id", sa.LargeBinary(), nullable=False),
        sa.Column("body_root", sa.LargeBinary(), nullable=False),
        sa.Column("precedence", COUNT, autoincrement=False, nullable=False),
        sa.Column("expires_at", COUNT, autoincrement=False, nullable=False),
        sa.Column("draft", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("envelope_id"),
    )
    op.create_index("envelopes_of_cable", "envelopes", ["cable_id"], unique=False)
    op.create_table(
        "evidence",
        sa.Column("signer", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("at", COUNT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("signer"),
    )
    op.create_table(
        "hops",
        sa.Column("envelope_id", sa.LargeBinary(), nullable=False),
        sa.Column("post", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("at", COUNT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("envelope_id", "post"),
    )
    op.create_table(
        "inbox",
        sa.Column("position", COUNT, autoincrement=True, nullable=False),
        sa.Column("terminal_id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", COUNT, autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("body_length", COUNT, autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("envelope_id", sa.LargeBinary(), nullable=False),
        sa.Column("item_id", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("terminal_id", "item_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("inbox_of_envelope", "inbox", ["envelope_id"], unique=False)
    op.create_index("inbox_of_terminal", "inbox", ["terminal_id", "position"], unique=False)
    op.create_table(
        "items",
        sa.Column("item_id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", COUNT, autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("precedence", COUNT, autoincrement=False, nullable=False),
        sa.Column("expires_at", COUNT, autoincrement=False, nullable=False),
        sa.Column("size_seen", COUNT, autoincrement=False, nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("body_length", COUNT, autoincrement=False, nullable=False),
        sa.Column("envelope_id", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("arrival", COUNT, autoincrement=False, nullable=False),
        sa.Column("at", COUNT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("item_id"),
    )
    op.create_index("items_by_state", "items", ["state", "destination"], unique=False)
    op.create_table(
        "leaves",
        sa.Column("position", COUNT, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("leaves_by_hash", "leaves", ["hash"], unique=False)
    op.create_table(
        "meta",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "notes",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("size", COUNT, autoincrement=False, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "size"),
    )
    op.create_table(
        "openings",
        sa.Column("officer_id", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("officer_id"),
    )
    op.create_table(
        "pending",
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("at", COUNT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("leaf_hash"),
    )
    op.create_table(
        "proofs",
        sa.Column("envelope_id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("item_hash", sa.LargeBinary(), nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("envelope_id", "kind", "item_hash"),
    )
    op.create_table(
        "serials",
        sa.Column("year", COUNT, autoincrement=False, nullable=False),
        sa.Column("serial", COUNT, autoincrement=False, nullable=False),
        sa.Column("cable_id", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("year", "serial"),
        sa.UniqueConstraint("cable_id", "year"),
    )
    op.create_table(
        "sign_state",
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("size", COUNT, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("at", COUNT, autoincrement=False, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("role"),
    )
    op.create_table(
        "body_parts",
        sa.Column("envelope_id", sa.LargeBinary(), nullable=False),
        sa.Column("offset", COUNT, autoincrement=False, nullable=False),
        sa.Column("length", COUNT, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["envelope_id"], ["bodies.envelope_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("envelope_id", "offset"),
    )
    op.create_table(
        "slot_items",
        sa.Column("number", COUNT, autoincrement=True, nullable=False),
        sa.Column("item_hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("envelope_id", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", COUNT, nullable=True),
        sa.Column("place", COUNT, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["sequence"],
            ["batches.sequence"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("item_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("slot_items_batch", "slot_items", ["sequence"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("a node's store only moves forward; restore a backup instead")
