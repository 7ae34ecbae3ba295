"""Tables of the people's own: accounts, sessions, second factors, units, posts, duties, printed codes, drafts.

None of them is a projection: nothing but a backup brings them back.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    text,
)

from node.store.columns import Digest, Serial, When
from node.store.columns import metadata as metadata

users = Table(
    "users",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("password_hash", String(200), nullable=False),
    Column("roles", JSON, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("locked_until", When),
    Column("created_at", When, nullable=False),
    Column("password_at", When, comment="when the password was set; null: with the account"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Digest, primary_key=True),
    Column("user_id", Serial, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", When, nullable=False),
    Column("used_at", When, nullable=False),
    Column("expires_at", When, nullable=False),
    Column("proved_at", When, comment="when the password was last given; null: at the beginning"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("user_id", Serial, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", Digest, nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("at", When, nullable=False),
)

factors = Table(
    "factors",
    metadata,
    Column("user_id", Serial, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("secret", LargeBinary, nullable=False, comment="encrypted to the node's own bundle key"),
    Column("confirmed", Boolean, nullable=False),
    Column("last_step", BigInteger, nullable=False, comment="of the last code taken; none is taken twice"),
    Column("created_at", When, nullable=False),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Serial, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("code_hash", Digest, primary_key=True),
)

units = Table(
    "units",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("kind", String(12), nullable=False, comment="node | township | village | room | station"),
    Column("name", String(120), nullable=False),
    Column("code", String(12), comment="division code; null where the unit has none of its own"),
    Column("parent_id", Serial, ForeignKey("units.id")),
    Column("active", Boolean, nullable=False),
    Column("created_at", When, nullable=False),
    Index("ix_units_code", "code"),
)

posts = Table(
    "posts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("unit_id", Serial, ForeignKey("units.id"), nullable=False, index=True),
    Column("title", String(120), nullable=False),
    Column("role", String(16), comment="the role of node.domain.policy that goes with the post"),
    Column("active", Boolean, nullable=False),
)

tenures = Table(
    "tenures",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("post_id", Serial, ForeignKey("posts.id"), nullable=False, index=True),
    Column("user_id", Serial, ForeignKey("users.id"), nullable=False, index=True),
    Column("since", When, nullable=False),
    Column("until", When, comment="null while the person holds the post"),
    Index(
        "ix_tenures_holder",
        "post_id",
        unique=True,
        sqlite_where=text("until IS NULL"),
        postgresql_where=text("until IS NULL"),
    ),
)

duties = Table(
    "duties",
    metadata,
    Column("topic", Digest, primary_key=True),
    Column("part", String(12), primary_key=True, comment="owner | supervisor"),
    Column("post_id", Serial, ForeignKey("posts.id"), nullable=False, index=True),
    Column("at", When, nullable=False),
)

handovers = Table(
    "handovers",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("post_id", Serial, ForeignKey("posts.id"), nullable=False, index=True),
    Column("from_user", Serial, ForeignKey("users.id")),
    Column("to_user", Serial, ForeignKey("users.id")),
    Column("at", When, nullable=False),
    Column("by", String(64), nullable=False),
    Column("note", String(2000), nullable=False),
    Column("items", JSON, nullable=False, comment="the sheet: every open item as it was handed over"),
)

posters = Table(
    "posters",
    metadata,
    Column("code", String(20), primary_key=True, comment="what a printed QR code names"),
    Column("unit_id", Serial, ForeignKey("units.id"), unique=True),
    Column("topic", Digest, unique=True),
    Column("active", Boolean, nullable=False),
    Column("at", When, nullable=False),
)

drafts = Table(
    "drafts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("kind", String(12), nullable=False, comment="matter | comment | rating | reopen"),
    Column("origin", String(12), nullable=False, comment="citizen | healing"),
    Column("state", String(12), nullable=False, comment="waiting | taken | refused"),
    Column("secret_hash", Digest, unique=True, comment="of the receipt; null where nobody holds one"),
    Column("poster", String(20), comment="the printed code it came by"),
    Column("unit_id", Serial, ForeignKey("units.id")),
    Column("topic", Digest, index=True, comment="what it became, or is about"),
    Column("form", JSON, nullable=False),
    Column("at", When, nullable=False),
    Column("reason", String(2000), comment="why it was refused, for whoever sent it"),
    Column("decided_at", When),
    Column("decided_by", String(64)),
    Index("ix_drafts_state", "state", "id"),
)

draft_files = Table(
    "draft_files",
    metadata,
    Column("draft_id", Serial, ForeignKey("drafts.id", ondelete="CASCADE"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("digest", Digest, nullable=False),
    Column("media", String(120), nullable=False),
    Column("content", LargeBinary, nullable=False),
)
