"""Tables of aggregation: what was said of topics, the row of each that stands, and the figures made of them.

All are projections but `rows_due`, a queue, and `heard_at`, which nobody signed.
"""

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from node.domain.rollup import MEASURES
from node.store.columns import Code, Digest, Inc, When
from node.store.columns import metadata as metadata

summaries = Table(
    "summaries",
    metadata,
    Column("id", Digest, ForeignKey("statements.id"), primary_key=True),
    Column("author", Code, nullable=False),
    Column("inc", Inc, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("sealed_at", When, nullable=False, comment="what its author says"),
    Column("heard_at", When, nullable=False),
    Index("ix_summaries_author", "author", "inc", "seq"),
)

heard = Table(
    "heard",
    metadata,
    Column("author", Code, primary_key=True),
    Column("inc", Inc, nullable=False, comment="the highest incarnation heard"),
    Column("seq", BigInteger, nullable=False, comment="the highest of its summaries"),
    Column("many", BigInteger, nullable=False, comment="how many of them came"),
    Column("sealed_at", When, nullable=False, comment="what the last one says"),
    Column("heard_at", When, nullable=False),
)

said_rows = Table(
    "said_rows",
    metadata,
    Column("topic", Digest, primary_key=True),
    Column("author", Code, nullable=False),
    Column("place", Text, nullable=False, comment="term, seq and rev as JSON"),
    Column("leaf", Digest, nullable=False),
    Column("month", String(7), nullable=False),
    Column("page", Digest, nullable=False, comment="the summary that says it"),
    Index("ix_said_rows_author", "author", "month"),
)

topic_rows = Table(
    "topic_rows",
    metadata,
    Column("topic", Digest, primary_key=True),
    Column("number", String(120), nullable=False),
    Column("origin", Code, nullable=False),
    Column("custodian", Code, nullable=False),
    Column("term", String(120), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("head", Digest, nullable=False),
    Column("kind", String(120), nullable=False),
    Column("category", String(120), nullable=False, comment="empty where there is none"),
    Column("source", String(120), nullable=False, comment="empty where there is none"),
    Column("unit", String(12)),
    Column("status", String(8), nullable=False),
    Column("step", String(12), nullable=False),
    Column("outcome", String(1), nullable=False, comment="empty where there is none"),
    Column("due_at", When),
    Column("answer_by", When),
    Column("tier_reached", String(8), nullable=False),
    Column("stayed", Boolean, nullable=False, comment="never held above the tier of its origin"),
    Column("hops", BigInteger, nullable=False),
    Column("returns", BigInteger, nullable=False),
    Column("reopened", BigInteger, nullable=False),
    Column("suggested", BigInteger, nullable=False),
    Column("followed", BigInteger, nullable=False),
    Column("participations", BigInteger, nullable=False),
    Column("rating", String(20)),
    Column("opened_at", When, nullable=False),
    Column("first_action_at", When),
    Column("closed_at", When),
    Column("response_s", BigInteger, nullable=False, comment="from opening to the first action, 0 before it"),
    Column("resolution_s", BigInteger, nullable=False, comment="from opening to closing, 0 while open"),
    Column("day", Integer, nullable=False, comment="of opening, days since 1970 in China"),
    Column("month", String(7), nullable=False),
    Column("overdue", Boolean, nullable=False, comment="as counted; `late_at` says when that changes"),
    Column("late_at", When, comment="when an open topic not counted as overdue becomes so"),
    Column("named", JSON, nullable=False, comment="the areas the topic names"),
    Column("areas", JSON, nullable=False, comment="the divisions it is shown under"),
    Column("places", JSON, nullable=False, comment="the divisions whose figures it is part of"),
    Column("own", Boolean, nullable=False, comment="read from a chain held here, not from what its custodian says"),
    Column("changed_at", When, nullable=False),
    Index("ix_topic_rows_day", "day", "topic"),
    Index("ix_topic_rows_custodian", "custodian", "day", "topic"),
    Index("ix_topic_rows_origin", "origin", "day", "topic"),
    Index("ix_topic_rows_category", "category", "day", "topic"),
    Index("ix_topic_rows_status", "status", "day", "topic"),
    Index("ix_topic_rows_source", "source", "day", "topic"),
    Index("ix_topic_rows_late", "late_at"),
)

topic_row_areas = Table(
    "topic_row_areas",
    metadata,
    Column("topic", Digest, primary_key=True),
    Column("area", String(12), primary_key=True, comment="named by the topic, or above such a one"),
    Column("shown", Boolean, nullable=False, comment="whether the topic is counted under this very one"),
    Index("ix_topic_row_areas_area", "area", "topic"),
)

rollups = Table(
    "rollups",
    metadata,
    Column("place", String(12), primary_key=True, comment="a division, @ or > and a node, or empty: everywhere"),
    Column("dimension", String(10), primary_key=True),
    Column("key", String(120), primary_key=True),
    Column("month", String(7), primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in MEASURES),
)

mixes = Table(
    "mixes",
    metadata,
    Column("status", String(8), primary_key=True),
    Column("step", String(12), primary_key=True),
    Column("outcome", String(1), primary_key=True),
    Column("source", String(120), primary_key=True),
    Column("kind", String(120), primary_key=True),
    Column("category", String(120), primary_key=True),
    Column("late", Boolean, primary_key=True, comment="counted as overdue"),
    *(Column(name, BigInteger, nullable=False) for name in MEASURES),
    comment="figures of topics that have these values together, wherever and whenever",
)

row_differences = Table(
    "row_differences",
    metadata,
    Column("topic", Digest, primary_key=True),
    Column("field", String(40), primary_key=True),
    Column("node", Code, nullable=False, comment="who says it"),
    Column("said", String(200)),
    Column("counted", String(200)),
    Column("at", When, nullable=False),
)

rows_due = Table(
    "rows_due",
    metadata,
    Column("topic", Digest, primary_key=True),
    Column("at", When, nullable=False),
)
"""Topics whose row must be looked at again: a queue, filled where they change and emptied by a tick."""

totals = Table(
    "totals",
    metadata,
    Column("author", Code, primary_key=True),
    Column("period", String(7), primary_key=True),
    Column("statement", Digest, nullable=False, comment="the newest of this author and period"),
    Column("inc", Inc, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("root", Digest, nullable=False),
    Column("figures", JSON, nullable=False, comment="the body of the statement"),
    Column("listed", Digest, nullable=False, comment="the part that lists the rows"),
    Column("first_at", When, nullable=False, comment="when the first of this author and period was heard"),
    Column("sealed_at", When, nullable=False),
    Column("due", Boolean, nullable=False, comment="a row of it changed since it was counted again"),
)

totals_differences = Table(
    "totals_differences",
    metadata,
    Column("author", Code, primary_key=True),
    Column("period", String(7), primary_key=True),
    Column("topic", Digest, primary_key=True),
    Column("said", Digest, comment="leaf of the row its author counts, null where it counts none"),
    Column("counted", Digest, comment="leaf of the row known here, null where none is"),
    Column("at", When, nullable=False),
)
