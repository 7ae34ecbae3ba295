"""The roster and the code lists as this process knows them: folds of stored statements, kept between transactions."""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, or_, select

from node.context import Context
from node.store.tables import equivocations, node, parked, registry, statements
from schemas.ids import Incarnation, NodeCode
from schemas.registry import Anchored
from schemas.statement import RegistryEntry
from sync.errors import Refused
from sync.roster import Roster, anchored_key, enrol
from sync.sealing import REGISTRY, Statement, open_statement, parse, read_model
from sync.strict import strict_json

ROSTER = "roster"

BRANCHING = ("fork", "wrong-prev")
"""Why an entry is held whose `prev` is not here: the branch it stands on may still come (SPEC 14.6)."""
_MAY_GO_ON = (
    parked.c.state.in_(("ahead", "deferred")),
    and_(parked.c.state == "held", parked.c.code.in_(BRANCHING)),
)

_REGISTERED = select(statements.c.raw).join(registry, registry.c.id == statements.c.id).order_by(statements.c.pos)
_COUNT = select(func.count()).select_from(registry)
_FLAGS = select(
    _COUNT.scalar_subquery(),
    select(func.count()).select_from(equivocations).scalar_subquery(),
    select(func.count()).select_from(parked).where(or_(*_MAY_GO_ON)).scalar_subquery(),
    select(node.c.inc_number).scalar_subquery(),
    select(node.c.inc_nonce).scalar_subquery(),
)


@dataclass(frozen=True, slots=True)
class Flags:
    """What every transaction must know before it starts, read in one query: counts (`deferred` with what came ahead
    and what stands on a branch that is not here), and the incarnation this node lives in, number 0 for none."""

    registry: int
    equivocations: int
    deferred: int
    inc: Incarnation


def read_flags(conn: Connection) -> Flags:
    registered, proofs, deferred, number, nonce = conn.execute(_FLAGS).one()
    return Flags(registered, proofs, deferred, Incarnation(number or 0, nonce or ""))


def current(ctx: Context, conn: Connection, count: int | None = None) -> Roster:
    """The roster of this database state; folded again only when a registry entry was added."""
    if count is None:
        count = conn.execute(_COUNT).scalar_one()
    cached = ctx.cache.get(ROSTER)
    if isinstance(cached, tuple) and cached[0] == count:
        known: Roster = cached[1]
        return known
    roster = fold(conn)
    ctx.cache[ROSTER] = (count, roster)
    return roster


def fold(conn: Connection) -> Roster:
    """The roster from all stored registry statements, verified one after the other."""
    roster = Roster()
    for (raw,) in conn.execute(_REGISTERED):
        roster = enrol(roster, open_registry(raw, roster))
    return roster


def open_registry(raw: bytes, roster: Roster) -> Statement:
    """A stored registry statement; the first is the trusted anchor, which verifies under the key it names."""
    signed = parse(raw)
    if roster.anchor is None:
        return open_anchor(raw)
    return open_statement(signed, roster.keyring)


def open_anchor(raw: bytes) -> Statement:
    """An `anchored` statement, verified under its own key; whether that root is trusted is the caller's matter."""
    signed = parse(raw)
    strict_json(signed.payload)
    found = read_model(RegistryEntry[Anchored], signed.payload)
    if signed.typ != REGISTRY or found.kind != "anchored":
        raise Refused("wrong-type", signed.typ)
    return open_statement(signed, anchored_key(found.body))


def name_of(roster: Roster, code: NodeCode) -> str:
    member = roster.get(code)
    return member.card.name if member else code
