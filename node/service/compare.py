"""Two neighbours compare the sets of statements both should have, without streams (SPEC 14.3).

The set is cut by the first digits of the identities until the parts that differ are small enough to be listed; what one
lacks the other hands over as `old` lines. Nothing is remembered between documents: a lost line costs a round.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, Connection, bindparam, func, or_, select

from node.context import Context
from node.store import tables as t
from node.store.codec import load_chain
from node.store.engine import upsert
from schemas.exchange import LISTED_MAX, Have, Heal, Ids
from schemas.ids import Digest, NodeCode
from sync.errors import SyncError
from sync.exchange import Document, Loose, Old
from sync.sealing import REGISTRY, parse

if TYPE_CHECKING:
    from node.service.commit import Batch

_DIGITS = "0123456789abcdef"
UNVERIFIED = ("bad-signature", "unknown-key", "forged-author", "revoked-key")
"""Of what was kept for these reasons nobody knows that it is what its identity says."""
IDS_AT_ONCE = 500
CACHE = "set:"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a document asks in this matter, to be answered with the next one to the same neighbour."""

    haves: tuple[Have, ...] = ()
    lists: tuple[Ids, ...] = ()

    def but_whole(self) -> "Asked":
        """Without the beginning of a comparison, which has just come to its end."""
        return Asked(tuple(have for have in self.haves if have.prefix), self.lists)

    @property
    def is_whole(self) -> bool:
        """Whether it begins a comparison, or tells that one has ended."""
        return any(have.prefix == "" for have in self.haves)

    def __bool__(self) -> bool:
        return bool(self.haves or self.lists)


NOTHING = Asked()


def asked(document: Document) -> Asked:
    return Asked(document.haves, document.lists)


def is_equal(ctx: Context, conn: Connection, peer: NodeCode, haves: Iterable[Have]) -> bool:
    """Whether one of these says that the neighbour's whole set is this node's."""
    whole = [have for have in haves if have.prefix == ""]
    return bool(whole) and _have(shared(ctx, conn, peer), "") in whole


def whole(ctx: Context, conn: Connection, peer: NodeCode) -> Have:
    """What begins a comparison."""
    return _have(shared(ctx, conn, peer), "")


def answers(ctx: Context, conn: Connection, peer: NodeCode, what: Asked, bytes_max: int) -> list[Loose]:
    """The lines that answer; statements as far as `bytes_max` allows, the rest when the sets are compared again."""
    if not what:
        return []
    mine = shared(ctx, conn, peer)
    found: list[Loose] = []
    for have in what.haves:
        found += _answer(mine, have)
    missing: list[Digest] = []
    for listed in what.lists:
        own, theirs = _within(mine, listed.prefix), set(listed.ids)
        missing += [id for id in own if id not in theirs]
        if theirs - set(own) and len(own) <= LISTED_MAX:
            found.append(Ids(prefix=listed.prefix, ids=own))
    return [*found, *_olds(conn, missing, bytes_max)]


def listing(ctx: Context, conn: Connection, peer: NodeCode) -> list[Loose]:
    """The whole set, listed: by file there are few turns, so everything is said at once."""
    return list(_listing(shared(ctx, conn, peer), ""))


def keep(batch: "Batch", peer: NodeCode, document: Document) -> None:
    """What a document that came by file wants answered, until the next bundle to that neighbour is made."""
    if not (document.haves or document.lists or document.heal):
        return
    known = batch.conn.execute(select(t.asked_by_file.c.asked).where(t.asked_by_file.c.peer == peer)).scalar()
    said = dict(known or {"haves": [], "lists": {}, "heal": None})
    if document.heal is not None:  # the first document of a bundle: what an older one wanted is over
        said = {"haves": [], "lists": {}, "heal": document.heal.model_dump(mode="json")}
    said["haves"] = [*said["haves"], *(have.model_dump(mode="json") for have in document.haves)]
    said["lists"] = said["lists"] | {listed.prefix: listed.ids for listed in document.lists}
    upsert(batch.conn, t.asked_by_file, [{"peer": peer, "asked": said, "at": batch.now}])


def kept(conn: Connection, peer: NodeCode) -> tuple[Asked, Heal | None]:
    """What `keep` kept."""
    said = conn.execute(select(t.asked_by_file.c.asked).where(t.asked_by_file.c.peer == peer)).scalar()
    if said is None:
        return NOTHING, None
    haves = tuple(Have.model_validate(have) for have in said["haves"])
    lists = tuple(Ids(prefix=prefix, ids=ids) for prefix, ids in said["lists"].items())
    return Asked(haves, lists), Heal.model_validate(said["heal"]) if said["heal"] else None


def shared(ctx: Context, conn: Connection, peer: NodeCode) -> list[Digest]:
    """This node's set towards a neighbour, ascending; kept until something is stored."""
    stamp = conn.execute(_STAMP).one()
    known = ctx.cache.get(CACHE + peer)
    if isinstance(known, tuple) and known[0] == tuple(stamp):
        ids: list[Digest] = known[1]
        return ids
    ids = sorted(_collect(conn, ctx.identity.code, peer))
    ctx.cache[CACHE + peer] = (tuple(stamp), ids)
    return ids


_STAMP = select(
    select(func.max(t.statements.c.pos)).scalar_subquery(),
    select(func.max(t.parked.c.id)).scalar_subquery(),
    select(func.count()).select_from(t.parked).where(t.parked.c.state.in_(("held", "deferred"))).scalar_subquery(),
)

_REGISTERED = select(t.registry.c.id)
_NAMING = select(t.topics.c.id, t.topics.c.custody, t.topics.c.lost).where(
    t.topics.c.mine, or_(t.topics.c.custody.like(bindparam("named")), t.topics.c.lost.like(bindparam("named")))
)
_SOME: BindParameter[Any] = bindparam("some", expanding=True)
_KEPT = t.parked.c.state.in_(("held", "deferred")) & t.parked.c.code.not_in(UNVERIFIED)
_OF_NO_TOPIC = select(t.parked.c.statement, t.parked.c.raw).where(t.parked.c.topic.is_(None), _KEPT)
_ABOUT = (
    *(select(table.c.id).where(table.c.topic.in_(_SOME)) for table in (t.entries, t.orphans, t.remarks)),
    select(t.parked.c.statement).where(t.parked.c.topic.in_(_SOME), _KEPT),
)
_TO_GIVE = select(t.statements.c.pos, t.statements.c.id, t.statements.c.raw).where(t.statements.c.id.in_(_SOME))


def _collect(conn: Connection, me: NodeCode, peer: NodeCode) -> set[Digest]:
    found: set[Digest] = set(conn.execute(_REGISTERED).scalars())
    topics = _topics(conn, me, peer)
    for start in range(0, len(topics), IDS_AT_ONCE):
        some = {"some": topics[start : start + IDS_AT_ONCE]}
        for query in _ABOUT:
            found |= set(conn.execute(query, some).scalars())
    found.update(row.statement for row in conn.execute(_OF_NO_TOPIC) if _is_registry(row.raw))
    return found


def _topics(conn: Connection, me: NodeCode, peer: NodeCode) -> list[Digest]:
    """Topics whose chain, or a branch of it, has both as participants."""
    both = {me, peer}
    rows = conn.execute(_NAMING, {"named": f'%"{peer}"%'})
    return [row.id for row in rows if both <= load_chain(row.custody).participants or f'"{peer}"' in row.lost]


def _is_registry(raw: bytes) -> bool:
    try:
        return parse(raw).typ == REGISTRY
    except SyncError:
        return False


def _answer(mine: Sequence[Digest], have: Have) -> list[Loose]:
    own = _have(mine, have.prefix)
    if own == have:
        return [own] if have.prefix == "" else []
    if own.count > LISTED_MAX:
        return [_have(mine, have.prefix + digit) for digit in _DIGITS]
    return [Ids(prefix=have.prefix, ids=_within(mine, have.prefix))]


def _listing(ids: Sequence[Digest], prefix: str) -> Iterator[Ids]:
    some = _within(ids, prefix)
    if len(some) <= LISTED_MAX:
        yield Ids(prefix=prefix, ids=some)
        return
    for digit in _DIGITS:
        yield from _listing(some, prefix + digit)


def _within(ids: Sequence[Digest], prefix: str) -> list[Digest]:
    return list(ids[bisect_left(ids, prefix) : bisect_left(ids, prefix + "g")])


def _have(ids: Sequence[Digest], prefix: str) -> Have:
    some = _within(ids, prefix)
    return Have(prefix=prefix, count=len(some), digest=hashlib.sha256(bytes.fromhex("".join(some))).hexdigest())


def _olds(conn: Connection, missing: Sequence[Digest], bytes_max: int) -> list[Loose]:
    """In the order they were stored, in which each stands on those before it; at least one where there is any."""
    rows: list[Any] = []
    for start in range(0, len(missing), IDS_AT_ONCE):
        some = missing[start : start + IDS_AT_ONCE]
        rows += conn.execute(_TO_GIVE, {"some": some}).all()
    found: list[Loose] = []
    size = 0
    stored = {row.id for row in rows}
    raws = [row.raw for row in sorted(rows, key=lambda row: row.pos)]
    for raw in [*raws, *_parked(conn, [id for id in missing if id not in stored])]:
        size += len(raw) + 10
        if found and size > bytes_max:
            break
        found.append(Old(raw))
    return found


def _parked(conn: Connection, ids: Sequence[Digest]) -> list[bytes]:
    if not ids:
        return []
    query = select(t.parked.c.raw).where(t.parked.c.statement.in_(ids[:IDS_AT_ONCE]), _KEPT)
    return list(conn.execute(query.order_by(t.parked.c.id)).scalars())
