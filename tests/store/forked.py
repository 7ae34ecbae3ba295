"""A city whose registry was written twice: what the tests of torn entries stand on."""

from collections.abc import Sequence

from sqlalchemy import select

from node.context import Context
from node.service import healing, life
from node.service import roster as rosters
from node.service.commit import write
from node.service.doctor import doctor
from node.store import tables as t
from node.store.codec import inc_text
from node.store.engine import reading
from schemas.ids import Digest, Incarnation, Tier
from schemas.registry import Card, Enrolled, Granted, Rotated
from schemas.statement import Frozen
from sync.chain import header
from sync.keys import b64, thumbprint
from sync.roster import Roster
from sync.sealing import REGISTRY, Statement, author, parse
from sync.strict import strict_json
from tests.store.lives import hand_over
from tests.store.tree import CITY, Tree
from tests.wire import cast as c


def forked_city(tree: Tree, here: list[str], *others: list[str], later: Sequence[str] = ()) -> int:
    """One branch is this node's, the others come to it when its next life has begun, and it has said something in it
    (`later`); how many entries that life had before."""
    tree.settle()
    with reading(tree.city.engine) as conn:
        roster = rosters.fold(conn)
    first = roster.members[CITY].inc
    head = roster.heads[(CITY, first)]
    with write(tree.city) as batch:
        for what in here:
            batch.register(*entry(what, roster))
        life.end(batch, "by-hand")
        batch.actor = "陈"
        for child in batch.roster.children(CITY):
            healing.waive(batch, child, "线路断了")
    tree.settle(tree.city)
    with write(tree.city) as batch:
        assert batch.live
        for what in later:
            batch.register(*entry(what, roster))
    for there in others:
        seq, prev = head.seq, head.id
        for what in there:
            seq += 1
            rival = beside(tree.city, first, seq, prev, *entry(what, roster))
            prev = rival.id
            hand_over(tree.province, tree.city, rival.raw)
    return len(said(tree.city))


def beside(node: Context, inc: Incarnation, seq: int, prev: Digest | None, kind: str, body: Frozen) -> Statement:
    """An entry of a node's registry that it does not know it has written."""
    payload = {**header(node.identity.code, inc, "2026-01-01T00:00:00Z"), "seq": seq, "prev": prev, "kind": kind}
    payload |= {"body": body.model_dump(mode="json"), "parts": []}
    return author(payload, REGISTRY, node.identity.signer, node.identity.code)


def entry(what: str, roster: Roster) -> tuple[str, Frozen]:
    """An entry from its kind, the code of the child, and the name of a key (of an enrolment also a digit for its nonce)
    or the number of a life and of its key."""
    kind, code, *more = what.split()
    if kind == "granted":
        key = thumbprint(c.public(more[1])) if len(more) > 1 else roster.members[code].key.kid
        inc = Incarnation(int(more[0]), f"{more[0]:>032}")
        return kind, Granted(node=code, inc=inc, key=key, closed=None, log=None)
    key = b64(c.public(more[0]))
    node = Card(code=code, name=code, tier=Tier.COUNTY, url="http://127.0.0.1:1", key=key, box=c.box(code))
    if kind == "enrolled":
        return kind, Enrolled(node=node, inc=Incarnation(1, (more[1] if len(more) > 1 else "1") * 32))
    return kind, Rotated(node=node, revoked=False, closed=None, reason="新机器")


def said(node: Context) -> list[str]:
    """What a node said of its children in its present life."""
    mine = (t.registry.c.author == node.identity.code, t.registry.c.inc == inc_text(life.now(node).inc))
    query = select(t.statements.c.raw).join(t.registry, t.registry.c.id == t.statements.c.id).where(*mine)
    found = []
    with reading(node.engine) as conn:
        for raw in conn.execute(query.order_by(t.registry.c.seq)).scalars():
            entry = strict_json(parse(raw).payload)
            body, kind = entry["body"], entry["kind"]
            what = [kind, body["node"], str(body["inc"][0])] if kind == "granted" else [kind, body["node"]["code"]]
            found.append(" ".join(what))
    return found


def advised(node: Context, what: str) -> bool:
    return any(what in finding.do_en for finding in doctor(node))
