"""Further incarnations: healing, branches and claims."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import text

from node.store import tables as t
from node.store.columns import Inc, When

revision = "0005"
down_revision = "0004"

_NEW = (t.orphans, t.replaced_instances, t.healing_peers, t.claims, t.sent_before, t.asked_by_file)


def upgrade() -> None:
    for table in _NEW:
        table.create(op.get_bind())
    with op.batch_alter_table("node") as node:
        node.add_column(sa.Column("stream_inc", Inc, nullable=False, server_default=""))
        node.add_column(sa.Column("known_number", sa.Integer, nullable=False, server_default=text("0")))
        node.add_column(sa.Column("healing_since", When))
        node.add_column(sa.Column("healing_why", sa.String(40)))
    with op.batch_alter_table("links") as links:
        links.add_column(sa.Column("instance", sa.String(32)))
        links.add_column(sa.Column("known", sa.Boolean, nullable=False, server_default=text("true")))
        links.add_column(sa.Column("comparing", sa.Boolean, nullable=False, server_default=text("false")))
    with op.batch_alter_table("instances") as instances:
        instances.add_column(sa.Column("met_at", When))
    with op.batch_alter_table("invitations") as invitations:
        invitations.add_column(sa.Column("renewal", sa.String(2000)))
        invitations.add_column(sa.Column("revoked", sa.Boolean, nullable=False, server_default=text("false")))
    with op.batch_alter_table("topics") as topics:
        topics.add_column(sa.Column("inc", Inc, nullable=False, server_default=""))
        topics.add_column(sa.Column("offered_inc", Inc))
        topics.add_column(sa.Column("lost", sa.Text, nullable=False, server_default="[]"))
        for name in ("ix_topics_custodian", "ix_topics_offered_to"):
            topics.drop_index(name)
    op.create_index("ix_topics_custodian", "topics", ["custodian", "status", "inc"])
    op.create_index("ix_topics_offered_to", "topics", ["offered_to", "offered_inc"])
    _name_writers()


def _name_writers() -> None:
    """The incarnation that writes each topic, and the one it is offered to, out of its custody state."""
    conn = op.get_bind()
    living = sa.update(t.node).where(t.node.c.inc_number > 0)
    named = sa.cast(t.node.c.inc_number, sa.String) + "." + t.node.c.inc_nonce
    conn.execute(living.values(stream_inc=named, known_number=t.node.c.inc_number))
    rows = conn.execute(sa.select(t.topics.c.id, t.topics.c.custody)).all()
    for start in range(0, len(rows), 500):
        values = [_writer(row.id, row.custody) for row in rows[start : start + 500]]
        change = sa.update(t.topics).where(t.topics.c.id == sa.bindparam("topic"))
        conn.execute(change.values(inc=sa.bindparam("writer"), offered_inc=sa.bindparam("decider")), values)


def _writer(topic: str, custody: str) -> dict[str, str | None]:
    from node.store.codec import inc_text, load_chain

    chain = load_chain(custody)
    decider = inc_text(chain.offer.to_inc) if chain.offer else None
    return {"topic": topic, "writer": inc_text(chain.inc), "decider": decider}


def downgrade() -> None:
    for table in reversed(_NEW):
        table.drop(op.get_bind())
