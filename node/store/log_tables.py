"""Tables of logs: this node's own, what witnesses signed of it, what it signed of others', and what is settled.

`leaves` and `log_nodes` can be made again from the statements; the others hold what was signed or told, and stay.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from node.store.columns import Code, Digest, Inc, Serial, When, metadata

leaves = Table(
    "leaves",
    metadata,
    Column("inc", Inc, primary_key=True),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("statement", Digest, ForeignKey("statements.id"), nullable=False, unique=True),
)
"""This node's own log: what it authored, in the order written."""

log_nodes = Table(
    "log_nodes",
    metadata,
    Column("inc", Inc, primary_key=True),
    Column("level", Integer, primary_key=True, autoincrement=False, comment="1: above 256 leaves, 2: above 65536 …"),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Digest, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("inc", Inc, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", Digest, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", When, nullable=False),
)

cosignatures = Table(
    "cosignatures",
    metadata,
    Column("inc", Inc, primary_key=True),
    Column("witness", Code, primary_key=True),
    Column("size", BigInteger, nullable=False, comment="of the largest own checkpoint this witness signed"),
    Column("said", BigInteger, nullable=False, comment="the size it last said it had signed"),
    Column("line", Text, nullable=False),
    Column("at", When, nullable=False),
)

witnessed = Table(
    "witnessed",
    metadata,
    Column("node", Code, primary_key=True),
    Column("inc", Inc, primary_key=True),
    Column("size", BigInteger, nullable=False, comment="of the largest checkpoint of this log signed here; only rises"),
    Column("root", Digest, nullable=False),
    Column("note", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("at", When, nullable=False),
)

remembered = Table(
    "remembered",
    metadata,
    Column("witness", Code, primary_key=True),
    Column("node", Code, primary_key=True),
    Column("inc", Inc, nullable=False),
    Column("size", BigInteger, nullable=False, comment="of the largest checkpoint a neighbour said it signed"),
    Column("note", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("at", When, nullable=False),
)
"""What neighbours signed of other logs: kept here in case they lose it."""

reminders = Table(
    "reminders",
    metadata,
    Column("peer", Code, primary_key=True),
    Column("node", Code, primary_key=True),
    Column("inc", Inc, nullable=False),
    Column("size", BigInteger, nullable=False, comment="of what was signed here, as far as this neighbour keeps it"),
)

log_conflicts = Table(
    "log_conflicts",
    metadata,
    Column("node", Code, primary_key=True),
    Column("inc", Inc, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", Digest, primary_key=True),
    Column("kept", Text, nullable=False),
    Column("other", Text, nullable=False, comment="signed by the same log: the two together are the proof"),
    Column("at", When, nullable=False),
)

settled = Table(
    "settled",
    metadata,
    Column("statement", Digest, primary_key=True),
)

notices = Table(
    "notices",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("peer", Code, nullable=False),
    Column("statement", Digest, nullable=False, comment="settled, which this neighbour is still to be told"),
    UniqueConstraint("peer", "statement"),
    Index("ix_notices_peer_id", "peer", "id"),
    sqlite_autoincrement=True,  # an id is never given twice: neighbours say up to which they have heard
)

noticed = Table(
    "noticed",
    metadata,
    Column("peer", Code, primary_key=True),
    Column("inc", Inc, nullable=False),
    Column("upto", BigInteger, nullable=False, comment="the last notice of this neighbour that was taken"),
)
