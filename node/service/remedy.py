"""What a person has to decide about a child where this node's registry was written twice (SPEC 14.4, R9).

What can be said again without anybody's decision, `torn` says by itself. The rest may be a clone's or a thief's word,
or is contradicted by the other branch.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from node.domain.refusals import Healing, Invalid
from node.service import torn
from node.service.retry import retry_keys
from node.service.torn import Past, Said
from schemas.ids import Incarnation, NodeCode
from schemas.registry import Card
from sync.errors import SyncError
from sync.roster import Roster

if TYPE_CHECKING:
    from node.service.commit import Batch


class Remedy(StrEnum):
    """What helps a child of which not everybody knows the same."""

    RENEW = "renew"
    """Everybody knows the child, not its present key: give it another one."""
    KEY = "key"
    """Another branch alone gives it a later key: ratify that, or give it another one."""
    RATIFY = "ratify"
    """Only another branch, or a key in other hands now, says that it is a child: a person says whether it is."""
    LIVE = "live"
    """Its life was given by an enrolment that another branch has otherwise: it heals, and is granted one all know."""
    HEAL = "heal"
    """This life has said what not everybody can read, so that nothing it says is read by all; the next one's is."""
    NONE = "none"
    """Not everybody knows the child at all, nor could read that it has another key."""


def remedies(conn: Connection, roster: Roster, me: NodeCode, inc: Incarnation) -> dict[NodeCode, Remedy]:
    """Who of this node's children, and of those that only another branch enrols, wants something from a person, as far
    as this node can tell."""
    found = _past(conn, roster, me, inc)
    if found is None:
        return {}
    wanted = {code: needed(found, code) for code in sorted({one.code for one in found.said})}
    return {code: remedy for code, remedy in wanted.items() if remedy is not None}


def remedy(batch: "Batch", child: NodeCode) -> Remedy | None:
    found = _past_of(batch)
    return needed(found, child) if found is not None else None


def check_renewable(batch: "Batch", child: NodeCode) -> None:
    """Raises Invalid where not everybody could read that this child has another key."""
    wanted = remedy(batch, child)
    if wanted is Remedy.HEAL:
        raise Invalid("code", "this node must heal first", rule="heal_first", code=child)
    if wanted is Remedy.RATIFY:
        raise Invalid("code", "its enrolment must be ratified first", rule="ratify_first", code=child)
    if wanted is Remedy.NONE:
        raise Invalid("code", "not everybody knows this child", rule="not_known_to_all", code=child)


def is_grantable(batch: "Batch", child: NodeCode) -> bool:
    """Whether everybody can read what is said under a child's present key."""
    found = _past_of(batch)
    return found is None or found.agree(child)


def to_ratify(conn: Connection, roster: Roster, me: NodeCode, inc: Incarnation, child: NodeCode) -> list[Said]:
    """What `ratify` will say of this child. Raises Healing, and Invalid where there is nothing to ratify."""
    if not inc.number:
        raise Healing
    found = _past(conn, roster, me, inc)
    wanted = needed(found, child) if found is not None else None
    if wanted is Remedy.HEAL:
        raise Invalid("code", "this node must heal first", rule="heal_first", code=child)
    if found is None or wanted not in (Remedy.RATIFY, Remedy.KEY):
        raise Invalid("code", "no other branch says this of a child", rule="nothing_to_ratify", code=child)
    return ratifiable(found, child)


def ratify(batch: "Batch", child: NodeCode, shown: Card) -> Card:
    """Say in this life what another branch, or a key that is in other hands now, says of a child: a person was `shown`
    the last of it, and says that it is true. Raises Invalid where there is nothing to ratify, or it has changed since.
    """
    batch.check_live()
    torn.repeat(batch)
    batch.flush_rows()
    words = to_ratify(batch.conn, batch.roster, batch.me, batch.inc, child)
    if words[-1].card != shown:
        raise Invalid("code", "another branch has turned up since", rule="shown_otherwise", code=child)
    try:
        for one in words:
            batch.register(one.entry.kind, one.entry.body)
    except SyncError as error:
        raise Invalid("code", f"{error.code} {child}", rule="cannot_ratify", code=child, why=error.code) from None
    torn.repeat(batch)
    retry_keys(batch)
    batch.audit("ratify", None, code=child)
    return shown


def _past_of(batch: "Batch") -> Past | None:
    batch.flush_rows()
    return _past(batch.conn, batch.roster, batch.me, batch.inc)


def _past(conn: Connection, roster: Roster, me: NodeCode, inc: Incarnation) -> Past | None:
    """With what this node says again by itself, though the clock may not have struck since."""
    found = torn.past(conn, roster, me, inc)
    if found is not None and not found.spoilt:
        torn.again(found)
    return found


def needed(found: Past, code: NodeCode) -> Remedy | None:
    """What a child wants from a person."""
    remedy = _needed(found, code)
    return Remedy.HEAL if found.spoilt and remedy is not None else remedy


def ratifiable(found: Past, code: NodeCode) -> list[Said]:
    """What may be said of a child that only another branch, or a key in other hands, says; nothing where that
    contradicts what is known."""
    here = found.mine.get(code) is not None and any(roster.get(code) is None for roster in found.readers)
    return found.plan(found.names(code, here, foreign=here), code)


def _needed(found: Past, code: NodeCode) -> Remedy | None:
    """As if this life had said nothing yet that not everybody can read."""
    known = [member for roster in found.everybody if (member := roster.get(code)) is not None]
    if len(known) < len(found.everybody):
        return (Remedy.RATIFY if ratifiable(found, code) else Remedy.NONE) if known else None
    if not found.agree(code):
        new = [{key.kid for key in member.keys} for member in known]
        return Remedy.KEY if all(new[0] <= other for other in new) and ratifiable(found, code) else Remedy.RENEW
    mine = known[0]
    healed = mine.kid_of(mine.inc) == mine.key.kid
    return Remedy.LIVE if healed and len({member.inc for member in known}) > 1 else None
