"""What this node trusts and who vouches for it: enrolled nodes with their keys, its own log, links that stand."""

from dataclasses import dataclass

from node.context import Context
from node.service import log
from node.service import roster as rosters
from node.store import links as link_rows
from node.store import log as log_rows
from node.store.engine import reading
from schemas.api import CheckpointView
from schemas.ids import KeyId, NodeCode, Tier


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A node of the tree: the key it signs with now, and those that are in other hands."""

    code: NodeCode
    name: str
    tier: Tier
    parent: NodeCode | None
    key: KeyId
    number: int
    revoked: tuple[KeyId, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """`cosigners` pairs each witness with the size it signed; `stopped` each link that stands with why; `below` are the
    nodes a claim may be offered to."""

    enrolled: tuple[Enrolled, ...]
    checkpoint: CheckpointView | None
    cosigners: tuple[tuple[NodeCode, int], ...]
    stopped: tuple[tuple[NodeCode, str], ...]
    below: tuple[NodeCode, ...]


def trust(ctx: Context) -> Trust:
    with reading(ctx.engine) as conn:
        roster = rosters.current(ctx, conn)
        inc = log.living(ctx, conn)
        signed: dict[NodeCode, int] = {}
        for row in log_rows.cosigned(conn, inc) if inc else []:
            signed.setdefault(row.witness, row.size)
        enrolled = tuple(
            Enrolled(
                code,
                member.card.name,
                member.tier,
                member.parent,
                member.key.kid,
                member.inc.number,
                member.revoked,
            )
            for code, member in sorted(roster.members.items())
        )
        stopped = tuple((link.peer, link.stopped) for link in link_rows.load_all(conn) if link.stopped is not None)
        below = tuple(code for code in sorted(roster.members) if roster.is_below(code, ctx.identity.code))
        return Trust(enrolled, log.view(ctx, conn), tuple(sorted(signed.items())), stopped, below)
