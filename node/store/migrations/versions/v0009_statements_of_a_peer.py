"""Indexes for what goes to one neighbour: without them SQLite reads its whole stream for each statement looked up.

The migrations that made two of these tables made them as they are now, so that the index may be there already.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

_STREAMS = ("outbox", "sent_before")


def upgrade() -> None:
    for table in _STREAMS:
        op.drop_index(f"ix_{table}_statement", table, if_exists=True)
        op.create_index(f"ix_{table}_statement_peer", table, ["statement", "peer"], if_not_exists=True)
    op.create_index("ix_notices_peer_id", "notices", ["peer", "id"], if_not_exists=True)


def downgrade() -> None:
    op.drop_index("ix_notices_peer_id", "notices")
    for table in _STREAMS:
        op.drop_index(f"ix_{table}_statement_peer", table)
        op.create_index(f"ix_{table}_statement", table, ["statement"])
