"""What tests of the log and its witnesses share: checkpoints made and signed over the links of a tree of nodes."""

from sqlalchemy import select

from node.context import Context
from node.service import exchange
from node.service.log import make_checkpoint
from node.service.views import entry_views, remark_views, topic_view
from node.store import tables as t
from node.store.engine import reading
from tests.store.tree import Tree


def sign(tree: Tree, *only: Context, rounds: int = 3) -> None:
    """Every node makes its checkpoint, and the links run until all is signed and told."""
    for _ in range(rounds):
        for node in only or tree.nodes:
            make_checkpoint(node)
        for child in (tree.county, tree.other, tree.city):
            for _ in range(2):
                exchange.call(child, tree.lanes[child.identity.code])


def durability(node: Context, topic: str) -> str:
    """Of the topic's head, as the node's people see it."""
    with reading(node.engine) as conn:
        return topic_view(node, conn, topic).durability


def words(node: Context, topic: str) -> dict[str, str]:
    """The durability of each entry and remark by its identity."""
    s, e, r = t.statements.c, t.entries.c, t.remarks.c
    with reading(node.engine) as conn:
        entries = conn.execute(select(s.id, s.raw).join(t.entries, e.id == s.id).where(e.topic == topic)).all()
        remarks = conn.execute(select(s.id, s.raw).join(t.remarks, r.id == s.id).where(r.topic == topic)).all()
        views = [*entry_views(node, conn, entries), *remark_views(node, conn, remarks)]
    return {view.hash: view.durability for view in views}
