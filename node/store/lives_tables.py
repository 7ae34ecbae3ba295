"""The tables of what a restore, a lost machine or a clone leaves behind: branches, healing, claims (SPEC 14)."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table

from node.store.columns import Code, Digest, Inc, When, metadata

orphans = Table(
    "orphans",
    metadata,
    Column("id", Digest, ForeignKey("statements.id"), primary_key=True),
    Column("topic", Digest, nullable=False, index=True),
    Column("prev", Digest, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("term", String(120), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("author", Code, nullable=False),
    Column("disposed", String(10), comment="adopted | set_aside, by an entry of the chain"),
)

replaced_instances = Table(
    "replaced_instances",
    metadata,
    Column("peer", Code, primary_key=True),
    Column("instance", String(32), primary_key=True),
    Column("challenge", BigInteger, nullable=False, comment="the newest one given when it was replaced"),
    Column("at", When, nullable=False),
)

healing_peers = Table(
    "healing_peers",
    metadata,
    Column("peer", Code, primary_key=True),
    Column("number", Integer, comment="the highest incarnation of this node it knows of, once it said so"),
    Column("equal", Boolean, nullable=False, comment="the sets were equal once"),
    Column("waived_by", String(64)),
    Column("reason", String(2000)),
    Column("at", When, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("node", Code, comment="whose topics are claimed, null where they are named"),
    Column("topics", JSON, nullable=False),
    Column("to", Code, comment="whom they are offered to then"),
    Column("reason", String(2000), nullable=False),
    Column("asked_by", String(64), nullable=False),
    Column("approved_by", String(64)),
    Column("state", String(16), nullable=False, comment="needs_approval | asking | done | refused"),
    Column("detail", String(2000)),
    Column("at", When, nullable=False),
    Column("ask_until", When),
)

sent_before = Table(
    "sent_before",
    metadata,
    Column("peer", Code, primary_key=True),
    Column("inc", Inc, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("statement", Digest, ForeignKey("statements.id"), nullable=False),
    Index("ix_sent_before_statement_peer", "statement", "peer"),
    comment="streams of earlier incarnations, as far as they were acknowledged",
)

asked_by_file = Table(
    "asked_by_file",
    metadata,
    Column("peer", Code, primary_key=True),
    Column(
        "asked", JSON, nullable=False, comment="what its last bundle wants compared, to be answered by the next one"
    ),
    Column("at", When, nullable=False),
)
