"""How far each terminal has its inbox; items by envelope"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "positions",
        sa.Column("terminal_id", sa.LargeBinary(), nullable=False),
        sa.Column("position", COUNT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("terminal_id"),
    )
    op.create_index("items_of_envelope", "items", ["envelope_id"], unique=False)
    op.create_index("inbox_of_item", "inbox", ["item_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("a node's store only moves forward; restore a backup instead")
