"""Bytes of the courier's frames, by day and post and by envelope; hashes of hotline transcripts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "traffic",
        sa.Column("day", COUNT, autoincrement=False, nullable=False),
        sa.Column("post", sa.String(), nullable=False),
        sa.Column("sent", COUNT, autoincrement=False, nullable=False),
        sa.Column("received", COUNT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("day", "post"),
    )
    op.create_table(
        "cable_traffic",
        sa.Column("envelope_id", sa.LargeBinary(), nullable=False),
        sa.Column("sent", COUNT, autoincrement=False, nullable=False),
        sa.Column("received", COUNT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("envelope_id"),
    )
    op.create_table(
        "transcripts",
        sa.Column("item_hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", COUNT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("item_hash"),
    )


def downgrade() -> None:
    raise NotImplementedError("a node's store only moves forward; restore a backup instead")
