"""An index of the topics that are open: today's work is found without looking at all there ever were."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_OPEN = sa.text("status <> 'closed'")


def upgrade() -> None:
    op.create_index(
        "ix_topics_open", "topics", ["mine", "custodian", "offered_to"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )


def downgrade() -> None:
    op.drop_index("ix_topics_open", "topics")
