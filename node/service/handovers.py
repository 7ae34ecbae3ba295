"""Reading hand-over sheets and duties, each in one view of the database."""

from node.context import Context
from node.domain.refusals import NotFound
from node.service.posts import duties_of, hand_over_sheets, open_items, unit_views
from node.service.views import topic_view
from node.store.engine import reading
from node.store.office import handovers
from schemas.ids import TopicId
from schemas.people import DutyView, HandOverItem, HandOverView, PostView, UnitView

SHEETS_MAX = 500


def hand_overs(ctx: Context) -> list[HandOverView]:
    """The latest sheets."""
    with reading(ctx.engine) as conn:
        return hand_over_sheets(conn)[:SHEETS_MAX]


def hand_over(ctx: Context, number: int) -> HandOverView:
    """Raises NotFound."""
    with reading(ctx.engine) as conn:
        found = hand_over_sheets(conn, handovers.c.id == number)
    if not found:
        raise NotFound(str(number))
    return found[0]


def post(ctx: Context, number: int) -> tuple[UnitView, PostView, list[HandOverItem]]:
    """A post, its unit, and what would go over with it. Raises NotFound."""
    with reading(ctx.engine) as conn:
        for unit in unit_views(conn):
            for found in unit.posts:
                if found.id == number:
                    return unit, found, open_items(conn, number)
    raise NotFound(str(number))


def duties(ctx: Context, topic: TopicId) -> list[DutyView]:
    """Raises NotFound."""
    with reading(ctx.engine) as conn:
        topic_view(ctx, conn, topic)
        return duties_of(conn, topic)
