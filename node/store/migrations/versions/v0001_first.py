"""The first version's tables. An empty database gets the newest tables at once, so nothing is left to do here."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
