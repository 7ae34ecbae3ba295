"""The tables. Constraints carry invariants. `statements`, `parts`, what was said of logs and the people's own are kept;
every other table is a projection that `liandong verify --rebuild` can make again.

Identities are lower-case hexadecimal text, instants are UTC, JSON columns hold what is only ever read whole.
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
    Text,
    UniqueConstraint,
    text,
)

from node.store.columns import Code, Digest, Inc, Serial, When
from node.store.columns import metadata as metadata
from node.store.lives_tables import asked_by_file as asked_by_file
from node.store.lives_tables import claims as claims
from node.store.lives_tables import healing_peers as healing_peers
from node.store.lives_tables import orphans as orphans
from node.store.lives_tables import replaced_instances as replaced_instances
from node.store.lives_tables import sent_before as sent_before

node = Table(
    "node",
    metadata,
    Column("code", Code, primary_key=True),
    Column("name", String(120), nullable=False),
    Column("tier", String(8), nullable=False),
    Column("url", String(200), nullable=False),
    Column("kid", String(43), nullable=False),
    Column("parent", Code),
    Column("parent_url", String(200)),
    Column("anchor", Digest, comment="identity of the root's `anchored` this node trusts"),
    Column("inc_number", Integer, nullable=False, comment="0 without a live incarnation"),
    Column("inc_nonce", String(32), nullable=False, comment="of the live incarnation, or drawn for the next"),
    Column("stream_inc", Inc, nullable=False, server_default="", comment="whose streams the outbox holds"),
    Column("known_number", Integer, nullable=False, server_default=text("0"), comment="highest it ever knew of itself"),
    Column("healing_since", When),
    Column("healing_why", String(40)),
    Column("created_at", When, nullable=False),
)

guard = Table(
    "guard",
    metadata,
    Column("only", Integer, primary_key=True),
    Column("confirmed", String(32), nullable=False),
    Column("pending", String(32)),
)

statements = Table(
    "statements",
    metadata,
    Column("pos", Serial, primary_key=True, autoincrement=True),
    Column("id", Digest, nullable=False, unique=True),
    Column("raw", LargeBinary, nullable=False),
    Column("typ", String(40), nullable=False),
    Column("author", Code, nullable=False),
    Column("at", When, nullable=False, comment="when it was stored here"),
    Column("source", Code, comment="the neighbour it came from, null if written here"),
)

entries = Table(
    "entries",
    metadata,
    Column("id", Digest, ForeignKey("statements.id"), primary_key=True),
    Column("topic", Digest, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("term", String(120), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("author", Code, nullable=False),
    UniqueConstraint("topic", "term", "seq"),
)

remarks = Table(
    "remarks",
    metadata,
    Column("id", Digest, ForeignKey("statements.id"), primary_key=True),
    Column("topic", Digest, nullable=False, index=True),
    Column("entry", Digest, nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("author", Code, nullable=False),
    Column("inc", Inc, nullable=False),
    Column("at", When, nullable=False),
)

registry = Table(
    "registry",
    metadata,
    Column("id", Digest, ForeignKey("statements.id"), primary_key=True),
    Column("author", Code, nullable=False),
    Column("inc", Inc, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    UniqueConstraint("author", "inc", "seq"),
)

OPEN = text("status <> 'closed'")
"""Of `topics`: those not at their end, few of all there ever were. Word for word in a query it finds the index."""

topics = Table(
    "topics",
    metadata,
    Column("id", Digest, primary_key=True),
    Column("number", String(120), nullable=False),
    Column("title", String(300), nullable=False),
    Column("text", Text),
    Column("kind", String(120), nullable=False),
    Column("category", String(120)),
    Column("source", String(120)),
    Column("external_id", String(120)),
    Column("status", String(8), nullable=False),
    Column("step", String(12), nullable=False),
    Column("origin", Code, nullable=False),
    Column("custodian", Code, nullable=False),
    Column("inc", Inc, nullable=False, server_default="", comment="the writer's incarnation"),
    Column("offered_to", Code),
    Column("offered_inc", Inc),
    Column("mine", Boolean, nullable=False, comment="whether this node is, or on a lost branch was, a participant"),
    Column("lost", Text, nullable=False, server_default="[]", comment="participants on lost branches"),
    Column("seq", BigInteger, nullable=False),
    Column("head", Digest, nullable=False),
    Column("parent_entry", Digest),
    Column("parent_n", Integer),
    Column("outcome", String(1)),
    Column("answer_by", When),
    Column("due_at", When),
    Column("created_at", When, nullable=False),
    Column("updated_at", When, nullable=False),
    Column("seen_at", When, nullable=False, comment="when this node first heard of it"),
    Column("custody", Text, nullable=False, comment="sync.custody.Chain"),
    Column("work", Text, nullable=False, comment="node.domain.topic.Topic"),
    Index("ix_topics_list", "mine", "updated_at", "id"),
    Index("ix_topics_custodian", "custodian", "status", "inc"),
    Index("ix_topics_offered_to", "offered_to", "offered_inc"),
    Index("ix_topics_parent_entry", "parent_entry", "parent_n"),
    Index("ix_topics_due_at", "due_at"),
    Index("ix_topics_open", "mine", "custodian", "offered_to", sqlite_where=OPEN, postgresql_where=OPEN),
)

topic_areas = Table(
    "topic_areas",
    metadata,
    Column("topic", Digest, ForeignKey("topics.id", ondelete="CASCADE"), primary_key=True),
    Column("area", String(12), primary_key=True),
    Column("own", Boolean, nullable=False, comment="named by the topic; false: an area above one of those"),
    Index("ix_topic_areas_area", "area", "topic"),
)

topic_places = Table(
    "topic_places",
    metadata,
    Column("topic", Digest, primary_key=True),
    Column("found", JSON, nullable=False, comment="what an import took the areas from; local, never sent"),
)

parts = Table(
    "parts",
    metadata,
    Column("digest", Digest, primary_key=True),
    Column("salt", String(32), nullable=False),
    Column("content", LargeBinary, comment="null once erased"),
    Column("at", When, nullable=False),
)

part_refs = Table(
    "part_refs",
    metadata,
    Column("statement", Digest, ForeignKey("statements.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("topic", Digest, index=True),
    Column("digest", Digest, nullable=False, index=True),
    Column("size", Integer, nullable=False),
    Column("media", String(120), nullable=False),
    Column("share", String(8), nullable=False),
)

wanted_parts = Table(
    "wanted_parts",
    metadata,
    Column("peer", Code, primary_key=True, comment="the neighbour that has it"),
    Column("digest", Digest, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("salt", String(32)),
    Column("got", Integer, nullable=False),
)

part_chunks = Table(
    "part_chunks",
    metadata,
    Column("peer", Code, primary_key=True),
    Column("digest", Digest, primary_key=True),
    Column("offset", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

links = Table(
    "links",
    metadata,
    Column("peer", Code, primary_key=True),
    Column("relation", String(6), nullable=False),
    Column("url", String(200), nullable=False),
    Column("sent_seq", BigInteger, nullable=False),
    Column("sent_hash", Digest, nullable=False),
    Column("acked_seq", BigInteger, nullable=False),
    Column("acked_hash", Digest, nullable=False),
    Column("received_inc", Inc, nullable=False),
    Column("received_seq", BigInteger, nullable=False),
    Column("received_hash", Digest, nullable=False),
    Column("stopped", String(40), comment="why the link stands still, null while it runs"),
    Column("last_contact_at", When),
    Column("next_try_at", When),
    Column("failures", Integer, nullable=False),
    Column("instance", String(32), comment="of the peer, as last heard"),
    Column(
        "known", Boolean, nullable=False, server_default=text("true"), comment="the peer's ack named our incarnation"
    ),
    Column("comparing", Boolean, nullable=False, server_default=text("false"), comment="sets are still to be compared"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("peer", Code, ForeignKey("links.peer"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("statement", Digest, ForeignKey("statements.id"), nullable=False),
    Column("hash", Digest, nullable=False),
    Column("at", When, nullable=False),
    Index("ix_outbox_statement_peer", "statement", "peer"),
)

parked = Table(
    "parked",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("peer", Code, nullable=False),
    Column("inc", Inc, nullable=False),
    Column("stream_seq", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("statement", Digest, nullable=False, comment="claimed identity; verified only if relayed"),
    Column("topic", Digest),
    Column("disposition", String(10), nullable=False, comment="the first answer, which a repeat gets again"),
    Column("code", String(40), nullable=False),
    Column("state", String(10), nullable=False, comment="ahead | deferred | held | refused | done"),
    Column("relayed", Boolean, nullable=False, comment="stored and passed on unread, so not again when applied"),
    Column("at", When, nullable=False),
    UniqueConstraint("peer", "inc", "stream_seq"),
    Index("ix_parked_topic", "topic", "state"),
    Index("ix_parked_state", "state", "code"),
)

equivocations = Table(
    "equivocations",
    metadata,
    Column("kept", Digest, primary_key=True),
    Column("other", Digest, primary_key=True),
    Column("author", Code, nullable=False),
    Column("inc", Inc, nullable=False),
    Column("topic", Digest),
    Column("at", When, nullable=False),
)

challenges = Table(
    "challenges",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True, comment="order of issue; clocks may run backwards"),
    Column("nonce", String(32), nullable=False, unique=True),
    Column("peer", Code, nullable=False, index=True),
    Column("session", String(32), nullable=False),
    Column("at", When, nullable=False),
)

invitations = Table(
    "invitations",
    metadata,
    Column("secret_hash", Digest, primary_key=True),
    Column("code", Code, nullable=False),
    Column("name", String(120), nullable=False),
    Column("tier", String(8), nullable=False),
    Column("at", When, nullable=False),
    Column("renewal", String(2000), comment="why an enrolled node gets another key; null for a new node"),
    Column("revoked", Boolean, nullable=False, server_default=text("false"), comment="the old key is in other hands"),
    Column("used_by", String(43), comment="thumbprint of the key the token is bound to"),
    Column("answer", LargeBinary, comment="the bytes that key was and will be answered"),
)

numbers = Table(
    "numbers",
    metadata,
    Column("year", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
)

imported = Table(
    "imported",
    metadata,
    Column("mark", Digest, primary_key=True, comment="hash of (source, external id) or of (title, time, text)"),
    Column("topic", Digest, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at", When, nullable=False),
    Column("actor", String(64), nullable=False, comment="a user's name, `node:CODE`, or `job`"),
    Column("action", String(40), nullable=False),
    Column("topic", Digest, index=True),
    Column("result", String(40), nullable=False),
    Column("detail", JSON),
    Column("hash", Digest, comment="over the hash before and this row; null in rows older than the chain"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("only", Integer, primary_key=True),
    Column("written", BigInteger, nullable=False, comment="rows of the chain"),
    Column("hash", Digest, nullable=False),
    Column("signature", String(128), nullable=False, comment="the node's, over both"),
)

catalogues = Table(
    "catalogues",
    metadata,
    Column("list", String(20), primary_key=True),
    Column("author", Code, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("rank", Integer, nullable=False, comment="tier rank of the author: the uppermost publisher wins"),
    Column("statement", Digest),
    Column("digest", Digest, nullable=False, comment="the part that holds the rows"),
    Column("at", When, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    Column("only", Integer, primary_key=True),
    Column("instance", String(32), nullable=False, comment="drawn at each start, shared by the processes of one"),
    Column("at", When, nullable=False),
    Column("met_at", When, comment="the first good exchange since this start"),
)
