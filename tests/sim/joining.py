"""A node joins the tree: request and answer carried by hand, as `invite` and `join` do."""

from typing import TYPE_CHECKING

from node.service import joining
from node.service.commit import write
from schemas.ids import NodeCode
from tests.sim.ledger import Violation

if TYPE_CHECKING:
    from tests.sim.world import World


def join(world: "World", code: NodeCode) -> None:
    """Enrol `code` at its parent. May be called again after a crash of either: the token makes it the same join."""
    child = world.machines[code]
    parent = world.parent_of(child)
    if child.inc.number:
        child.joined = True
        return
    if code not in world.tokens:
        with parent.at_work("second-process" in world.options.faults) as ctx, write(ctx) as batch:
            token = joining.invite(batch, code, child.tier, child.ctx.identity.name)
        world.tokens[code] = token
    with child.at_work() as ctx:
        request = joining.join_request(ctx, world.tokens[code])
    with parent.at_work() as ctx:
        answer = joining.enrol_child(ctx, request)
        if joining.enrol_child(ctx, request) != answer:
            raise Violation(f"R14: {parent.code} answered the same join request in two ways")
    with child.at_work() as ctx:
        joining.finish_join(ctx, world.tokens[code], answer)
    child.renew()
    child.joined = True
