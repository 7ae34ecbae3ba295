"""Rows of topics, said and own, and the figures made of them. Every topic is put in the queue: all get their rows."""

import sqlalchemy as sa
from alembic import op

from node.store.columns import When

_MEASURES = (
    *("count", "open", "overdue", "closed", "a", "b", "c", "d", "solved_at_origin", "hops", "returns", "reopened"),
    *("suggested", "followed", "participations", "responded", "response_s", "resolution_s"),
    *("rated", "satisfied", "basically_satisfied"),
)
revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _said()
    _rows()
    _figures()
    _totals()
    op.execute("INSERT INTO rows_due (topic, at) SELECT id, updated_at FROM topics")


def downgrade() -> None:
    raise NotImplementedError("restore the backup taken before the upgrade")


def _text(name: str, length: int, nullable: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length), nullable=nullable)


def _when(name: str, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, When(), nullable=nullable)


def _number(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def _said() -> None:
    op.create_table(
        "summaries",
        _text("id", 64),
        _text("author", 6),
        _text("inc", 64),
        _number("seq"),
        _text("kind", 32),
        _when("sealed_at"),
        _when("heard_at"),
        sa.ForeignKeyConstraint(["id"], ["statements.id"], name=op.f("fk_summaries_id")),
        _key("summaries", "id"),
    )
    op.create_index("ix_summaries_author", "summaries", ["author", "inc", "seq"])
    op.create_table(
        "heard",
        _text("author", 6),
        _text("inc", 64),
        _number("seq"),
        _number("many"),
        _when("sealed_at"),
        _when("heard_at"),
        _key("heard", "author"),
    )
    op.create_table(
        "said_rows",
        _text("topic", 64),
        _text("author", 6),
        sa.Column("place", sa.Text(), nullable=False),
        _text("leaf", 64),
        _text("month", 7),
        _text("page", 64),
        _key("said_rows", "topic"),
    )
    op.create_index("ix_said_rows_author", "said_rows", ["author", "month"])
    op.create_table(
        "row_differences",
        _text("topic", 64),
        _text("field", 40),
        _text("node", 6),
        _text("said", 200, nullable=True),
        _text("counted", 200, nullable=True),
        _when("at"),
        _key("row_differences", "topic", "field"),
    )
    op.create_table("rows_due", _text("topic", 64), _when("at"), _key("rows_due", "topic"))


def _rows() -> None:
    op.create_table(
        "topic_rows",
        _text("topic", 64),
        _text("number", 120),
        _text("origin", 6),
        _text("custodian", 6),
        _text("term", 120),
        _number("seq"),
        _text("head", 64),
        _text("kind", 120),
        _text("category", 120),
        _text("source", 120),
        _text("unit", 12, nullable=True),
        _text("status", 8),
        _text("step", 12),
        _text("outcome", 1),
        _when("due_at", nullable=True),
        _when("answer_by", nullable=True),
        _text("tier_reached", 8),
        sa.Column("stayed", sa.Boolean(), nullable=False),
        *(_number(name) for name in ("hops", "returns", "reopened", "suggested", "followed", "participations")),
        _text("rating", 20, nullable=True),
        _when("opened_at"),
        _when("first_action_at", nullable=True),
        _when("closed_at", nullable=True),
        _number("response_s"),
        _number("resolution_s"),
        sa.Column("day", sa.Integer(), nullable=False),
        _text("month", 7),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        _when("late_at", nullable=True),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("named", "areas", "places")),
        sa.Column("own", sa.Boolean(), nullable=False),
        _when("changed_at"),
        _key("topic_rows", "topic"),
    )
    for name in ("custodian", "origin", "category", "status", "source"):
        op.create_index(f"ix_topic_rows_{name}", "topic_rows", [name, "day", "topic"])
    op.create_index("ix_topic_rows_day", "topic_rows", ["day", "topic"])
    op.create_index("ix_topic_rows_late", "topic_rows", ["late_at"])
    op.create_table(
        "topic_row_areas",
        _text("topic", 64),
        _text("area", 12),
        sa.Column("shown", sa.Boolean(), nullable=False),
        _key("topic_row_areas", "topic", "area"),
    )
    op.create_index("ix_topic_row_areas_area", "topic_row_areas", ["area", "topic"])


def _figures() -> None:
    op.create_table(
        "rollups",
        _text("place", 12),
        _text("dimension", 10),
        _text("key", 120),
        _text("month", 7),
        *(_number(name) for name in _MEASURES),
        _key("rollups", "place", "dimension", "key", "month"),
    )


def _totals() -> None:
    op.create_table(
        "totals",
        _text("author", 6),
        _text("period", 7),
        _text("statement", 64),
        _text("inc", 64),
        _number("seq"),
        _number("rows"),
        _text("root", 64),
        sa.Column("figures", sa.JSON(), nullable=False),
        _text("listed", 64),
        _when("first_at"),
        _when("sealed_at"),
        sa.Column("due", sa.Boolean(), nullable=False),
        _key("totals", "author", "period"),
    )
    op.create_table(
        "totals_differences",
        _text("author", 6),
        _text("period", 7),
        _text("topic", 64),
        _text("said", 64, nullable=True),
        _text("counted", 64, nullable=True),
        _when("at"),
        _key("totals_differences", "author", "period", "topic"),
    )
