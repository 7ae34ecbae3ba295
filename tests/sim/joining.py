"""A node joins the tree: request and answer carried by hand, as `invite` and `join` do."""

from typing import TYPE_CHECKING

from node.domain.refusals import BadToken, Invalid
from node.service import joining, remedy
from node.service.commit import Batch, write
from node.service.remedy import Remedy
from schemas.ids import NodeCode
from sync.errors import Held
from tests.sim.ledger import Violation

if TYPE_CHECKING:
    from tests.sim.world import World


def heed(batch: Batch, code: NodeCode) -> bool:
    """Do what `doctor` says of a child; whether it may be invited then."""
    wanted = remedy.remedy(batch, code)
    if wanted in (Remedy.RATIFY, Remedy.KEY):
        words = remedy.to_ratify(batch.conn, batch.roster, batch.me, batch.inc, code)
        assert words[-1].card is not None
        remedy.ratify(batch, code, words[-1].card)
        wanted = remedy.remedy(batch, code)
    return wanted not in (Remedy.HEAL, Remedy.NONE)


def join(world: "World", code: NodeCode) -> None:
    """Enrol `code` at its parent. May be called again after a crash of either: the token makes it the same join."""
    child = world.machines[code]
    parent = world.parent_of(child)
    if child.inc.number:
        child.joined = True
        return
    if code not in world.tokens:
        if not parent.inc.number:
            return  # it heals, and invites nobody now
        with parent.at_work("second-process" in world.options.faults) as ctx, write(ctx) as batch:
            if not heed(batch, code):
                return
            renewal = None
            if batch.roster.get(code) is not None:  # its answer went with the parent's disk, and others know of it
                child.burn_down()
                renewal = joining.Renewal("set up anew", revoked=False)
            token = joining.invite(batch, code, child.tier, child.ctx.identity.name, renewal)
        world.tokens[code] = token
    with child.at_work() as ctx:
        request = joining.join_request(ctx, world.tokens[code])
    with parent.at_work() as ctx:
        try:
            answer = joining.enrol_child(ctx, request)
        except Invalid:
            return  # what doctor says of it comes first
        except (BadToken, Held):
            if not parent.restored:
                raise
            del world.tokens[code]  # it was set back to before it invited, or to before it enrolled
            answer = None
        if answer is not None and joining.enrol_child(ctx, request) != answer:
            raise Violation(f"R14: {parent.code} answered the same join request in two ways")
    if answer is None:
        return join(world, code)
    with child.at_work() as ctx:
        joining.finish_join(ctx, world.tokens[code], answer)
    child.renew()
    child.joined = True
