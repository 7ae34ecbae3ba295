"""What neighbours keep for each other of what they signed as witnesses."""

import sqlalchemy as sa
from alembic import op

from node.store.columns import When

revision = "0006"
down_revision = "0005"

_CODE, _INC = sa.String(6), sa.String(64)


def upgrade() -> None:
    op.create_table(
        "remembered",
        sa.Column("witness", _CODE, nullable=False),
        sa.Column("node", _CODE, nullable=False),
        sa.Column("inc", _INC, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("at", When, nullable=False),
        sa.PrimaryKeyConstraint("witness", "node", name="pk_remembered"),
    )
    op.create_table(
        "reminders",
        sa.Column("peer", _CODE, nullable=False),
        sa.Column("node", _CODE, nullable=False),
        sa.Column("inc", _INC, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("peer", "node", name="pk_reminders"),
    )


def downgrade() -> None:
    op.drop_table("reminders")
    op.drop_table("remembered")
