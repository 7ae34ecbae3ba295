"""The people's own: units, posts and who holds them, duties, second factors, drafts, printed codes; a chained audit."""

import sqlalchemy as sa
from alembic import op

from node.store.columns import Serial, When

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _accounts()
    _units()
    _door()


def downgrade() -> None:
    raise NotImplementedError("restore the backup taken before the upgrade")


def _accounts() -> None:
    op.create_table(
        "audit_head",
        sa.Column("only", sa.Integer(), nullable=False),
        sa.Column("written", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("only", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "factors",
        sa.Column("user_id", Serial, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", When(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_factors_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_factors")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", Serial, nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name=op.f("pk_recovery_codes")),
    )
    op.add_column("audit", sa.Column("hash", sa.String(length=64), nullable=True))
    op.add_column("sessions", sa.Column("proved_at", When(), nullable=True))
    op.add_column("users", sa.Column("password_at", When(), nullable=True))


def _units() -> None:
    op.create_table(
        "units",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("code", sa.String(length=12), nullable=True),
        sa.Column("parent_id", Serial, nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", When(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["units.id"], name=op.f("fk_units_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_units")),
    )
    op.create_index("ix_units_code", "units", ["code"], unique=False)
    op.create_table(
        "posts",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("unit_id", Serial, nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["unit_id"], ["units.id"], name=op.f("fk_posts_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posts")),
    )
    op.create_index(op.f("ix_posts_unit_id"), "posts", ["unit_id"], unique=False)
    op.create_table(
        "duties",
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("part", sa.String(length=12), nullable=False),
        sa.Column("post_id", Serial, nullable=False),
        sa.Column("at", When(), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_duties_post_id")),
        sa.PrimaryKeyConstraint("topic", "part", name=op.f("pk_duties")),
    )
    op.create_index(op.f("ix_duties_post_id"), "duties", ["post_id"], unique=False)
    op.create_table(
        "handovers",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("post_id", Serial, nullable=False),
        sa.Column("from_user", Serial, nullable=True),
        sa.Column("to_user", Serial, nullable=True),
        sa.Column("at", When(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("note", sa.String(length=2000), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["from_user"], ["users.id"], name=op.f("fk_handovers_from_user")),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_handovers_post_id")),
        sa.ForeignKeyConstraint(["to_user"], ["users.id"], name=op.f("fk_handovers_to_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handovers")),
    )
    op.create_index(op.f("ix_handovers_post_id"), "handovers", ["post_id"], unique=False)
    op.create_table(
        "tenures",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("post_id", Serial, nullable=False),
        sa.Column("user_id", Serial, nullable=False),
        sa.Column("since", When(), nullable=False),
        sa.Column("until", When(), nullable=True),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_tenures_post_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tenures_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenures")),
    )
    op.create_index(
        "ix_tenures_holder",
        "tenures",
        ["post_id"],
        unique=True,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_index(op.f("ix_tenures_post_id"), "tenures", ["post_id"], unique=False)
    op.create_index(op.f("ix_tenures_user_id"), "tenures", ["user_id"], unique=False)


def _door() -> None:
    op.create_table(
        "drafts",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("origin", sa.String(length=12), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=True),
        sa.Column("poster", sa.String(length=20), nullable=True),
        sa.Column("unit_id", Serial, nullable=True),
        sa.Column("topic", sa.String(length=64), nullable=True),
        sa.Column("form", sa.JSON(), nullable=False),
        sa.Column("at", When(), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=True),
        sa.Column("decided_at", When(), nullable=True),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["unit_id"], ["units.id"], name=op.f("fk_drafts_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_drafts_secret_hash")),
    )
    op.create_index("ix_drafts_state", "drafts", ["state", "id"], unique=False)
    op.create_index(op.f("ix_drafts_topic"), "drafts", ["topic"], unique=False)
    op.create_table(
        "posters",
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("unit_id", Serial, nullable=True),
        sa.Column("topic", sa.String(length=64), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("at", When(), nullable=False),
        sa.ForeignKeyConstraint(["unit_id"], ["units.id"], name=op.f("fk_posters_unit_id")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_posters")),
        sa.UniqueConstraint("topic", name=op.f("uq_posters_topic")),
        sa.UniqueConstraint("unit_id", name=op.f("uq_posters_unit_id")),
    )
    op.create_table(
        "draft_files",
        sa.Column("draft_id", Serial, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("media", sa.String(length=120), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["draft_id"], ["drafts.id"], name=op.f("fk_draft_files_draft_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("draft_id", "n", name=op.f("pk_draft_files")),
    )
