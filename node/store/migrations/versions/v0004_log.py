"""The log and its witnesses: what the node has authored so far becomes the first leaves of its log."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from node.store.columns import When

revision = "0004"
down_revision = "0003"

_ROWS_AT_ONCE = 500
_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_DIGEST, _CODE, _INC = sa.String(64), sa.String(6), sa.String(64)


def upgrade() -> None:
    _own_log()
    _said_of_logs()
    _what_is_settled()
    add_leaves()


def _own_log() -> None:
    op.create_table(
        "leaves",
        sa.Column("inc", _INC, nullable=False),
        sa.Column("idx", sa.BigInteger, nullable=False),
        sa.Column("statement", _DIGEST, nullable=False),
        sa.PrimaryKeyConstraint("inc", "idx", name="pk_leaves"),
        sa.ForeignKeyConstraint(["statement"], ["statements.id"], name="fk_leaves_statement"),
        sa.UniqueConstraint("statement", name="uq_leaves_statement"),
    )
    op.create_table(
        "log_nodes",
        sa.Column("inc", _INC, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("idx", sa.BigInteger, nullable=False),
        sa.Column("hash", _DIGEST, nullable=False),
        sa.PrimaryKeyConstraint("inc", "level", "idx", name="pk_log_nodes"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("inc", _INC, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", _DIGEST, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", When, nullable=False),
        sa.PrimaryKeyConstraint("inc", "size", name="pk_checkpoints"),
    )


def _said_of_logs() -> None:
    op.create_table(
        "cosignatures",
        sa.Column("inc", _INC, nullable=False),
        sa.Column("witness", _CODE, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("said", sa.BigInteger, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("at", When, nullable=False),
        sa.PrimaryKeyConstraint("inc", "witness", name="pk_cosignatures"),
    )
    op.create_table(
        "witnessed",
        sa.Column("node", _CODE, nullable=False),
        sa.Column("inc", _INC, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", _DIGEST, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("at", When, nullable=False),
        sa.PrimaryKeyConstraint("node", "inc", name="pk_witnessed"),
    )
    op.create_table(
        "log_conflicts",
        sa.Column("node", _CODE, nullable=False),
        sa.Column("inc", _INC, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", _DIGEST, nullable=False),
        sa.Column("kept", sa.Text, nullable=False),
        sa.Column("other", sa.Text, nullable=False),
        sa.Column("at", When, nullable=False),
        sa.PrimaryKeyConstraint("node", "inc", "size", "root", name="pk_log_conflicts"),
    )


def _what_is_settled() -> None:
    op.create_table(
        "settled",
        sa.Column("statement", _DIGEST, nullable=False),
        sa.PrimaryKeyConstraint("statement", name="pk_settled"),
    )
    op.create_table(
        "notices",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("peer", _CODE, nullable=False),
        sa.Column("statement", _DIGEST, nullable=False),
        sa.UniqueConstraint("peer", "statement", name="uq_notices_peer_statement"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "noticed",
        sa.Column("peer", _CODE, nullable=False),
        sa.Column("inc", _INC, nullable=False),
        sa.Column("upto", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("peer", name="pk_noticed"),
    )


def add_leaves() -> None:
    """What was written here, in that order; each incarnation has a log of its own."""
    conn = op.get_bind()
    statements = sa.table("statements", sa.column("pos"), sa.column("id"), sa.column("raw"), sa.column("source"))
    leaves = sa.table("leaves", sa.column("inc"), sa.column("idx"), sa.column("statement"))
    sizes: dict[str, int] = {}
    for rows in _own(conn, statements):
        made = []
        for row in rows:
            number, nonce = json.loads(_payload(row.raw))["inc"]
            inc = f"{number}.{nonce}"
            made.append({"inc": inc, "idx": sizes.get(inc, 0), "statement": row.id})
            sizes[inc] = sizes.get(inc, 0) + 1
        conn.execute(sa.insert(leaves), made)


def _own(conn: sa.Connection, statements: Any) -> Iterator[Any]:
    after = -1
    query = sa.select(statements).where(statements.c.source.is_(None)).order_by(statements.c.pos).limit(_ROWS_AT_ONCE)
    while rows := conn.execute(query.where(statements.c.pos > after)).all():
        yield rows
        after = rows[-1].pos


def _payload(raw: bytes) -> bytes:
    text = json.loads(bytes(raw))["payload"]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def downgrade() -> None:
    for name in (
        "noticed",
        "notices",
        "settled",
        "log_conflicts",
        "witnessed",
        "cosignatures",
        "checkpoints",
        "log_nodes",
        "leaves",
    ):
        op.drop_table(name)
