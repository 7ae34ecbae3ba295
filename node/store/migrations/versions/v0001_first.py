"""The first version's tables.

Made from the table definitions themselves: nothing older exists that could differ from them.
"""

from alembic import op

from node.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
