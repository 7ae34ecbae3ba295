"""Units, posts and hand-overs on both databases: duties follow the post, and nobody leaves with an open item."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from node.context import Context
from node.domain.policy import Relation
from node.domain.refusals import DutiesOpen, Invalid, NotAllowed, NotFound
from node.domain.staffing import lacking
from node.service import posts, users, work
from node.service.commit import write
from node.service.perform import Actor, Command, perform
from node.service.relation import relation
from node.service.sessions import authenticate, sign_in
from node.store.engine import reading
from node.store.office import duties, tenures
from node.store.office import posts as post_rows
from schemas import api
from schemas.people import DutyForm, HandOverForm, PostChange, PostForm, UnitChange, UnitForm
from tests.store.office import PASSWORD, SetClock, act, audited, make_node
from tests.store.tree import open_topic

TOWNSHIP = "620102001"


@pytest.fixture
def ctx(database_url: str, tmp_path: Path) -> Iterator[Context]:
    made = make_node(tmp_path, database_url, SetClock())
    yield made
    made.engine.dispose()


def person(ctx: Context, name: str, *roles: str) -> int:
    return users.add_user(ctx, name, PASSWORD, roles or ["coordinator"]).id


def township(ctx: Context, code: str | None = TOWNSHIP) -> int:
    return int(act(ctx, posts.add_unit, UnitForm(kind="township", name="酒泉路街道", code=code)).id)


def give(ctx: Context, post: int, to: int | None, note: str = "换届") -> posts.HandOverView:
    return act(ctx, posts.hand_over, post, HandOverForm(to=to, note=note))


def first_post(ctx: Context, unit: int) -> int:
    with reading(ctx.engine) as conn:
        return int(posts.unit_views(conn, unit)[0].posts[0].id)


def owners_who_left(ctx: Context) -> list[str]:
    """Open duties whose post is held by nobody, or by an account that is no longer active."""
    with reading(ctx.engine) as conn:
        held = select(tenures.c.post_id).join(users.users, users.users.c.id == tenures.c.user_id)
        held = held.where(tenures.c.until.is_(None), users.users.c.active)
        return list(conn.execute(select(duties.c.topic).where(duties.c.post_id.not_in(held))).scalars())


def test_new_unit_has_the_posts_of_its_kind_all_vacant(ctx: Context):
    made = act(ctx, posts.add_unit, UnitForm(kind="station", name="雁滩委员工作站", code="620102013"))
    assert [post.title for post in made.posts] == ["站长", "副站长"]
    assert made.flags == ["vacant 站长", "vacant 副站长", "no-head", "deputies 0"]
    assert audited(ctx)[-1] == ("王强", "add_unit", "done")


@pytest.mark.parametrize("code", ["999999", "620102999999"])
def test_unit_of_an_unknown_division_is_refused_unless_it_nests(ctx: Context, code: str):
    if code.startswith("620102"):
        assert act(ctx, posts.add_unit, UnitForm(kind="village", name="某村", code=code)).code == code
    else:
        with pytest.raises(Invalid):
            act(ctx, posts.add_unit, UnitForm(kind="village", name="某村", code=code))


def test_change_of_office_holder_hands_every_open_item_over_and_lists_them(ctx: Context):
    old, new = person(ctx, "赵旧"), person(ctx, "钱新")
    post = first_post(ctx, township(ctx))
    give(ctx, post, old)
    topics = [open_topic(ctx, f"第{n}件") for n in range(3)]
    for topic in topics:
        act(ctx, posts.assign, topic, DutyForm(post=post))
    with pytest.raises(DutiesOpen):
        users.set_active(ctx, "赵旧", False)
    sheet = give(ctx, post, new)
    assert (sheet.from_, sheet.to, sheet.title) == ("赵旧", "钱新", "党政办主任")
    assert sorted(item.topic for item in sheet.items) == sorted(topics)
    with reading(ctx.engine) as conn:
        assert {posts.duties_of(conn, topic)[0].holder for topic in topics} == {"钱新"}
    users.set_active(ctx, "赵旧", False)
    assert owners_who_left(ctx) == []


def test_post_with_open_items_is_not_left_vacant_nor_abolished_nor_its_unit_closed(ctx: Context):
    unit = township(ctx)
    post = first_post(ctx, unit)
    give(ctx, post, person(ctx, "赵旧"))
    act(ctx, posts.assign, open_topic(ctx), DutyForm(post=post))
    for attempt in (
        lambda: give(ctx, post, None),
        lambda: act(ctx, posts.change_post, post, PostChange(active=False)),
        lambda: act(ctx, posts.change_unit, unit, UnitChange(active=False)),
    ):
        with pytest.raises(DutiesOpen):
            attempt()
    assert owners_who_left(ctx) == []


def test_who_leaves_without_open_items_leaves_her_posts_vacant(ctx: Context):
    post = first_post(ctx, township(ctx))
    give(ctx, post, person(ctx, "赵旧"))
    users.set_active(ctx, "赵旧", False)
    with reading(ctx.engine) as conn:
        assert conn.execute(select(tenures.c.id).where(tenures.c.until.is_(None))).all() == []
    assert ("local", "leave_post", "done") in audited(ctx)


def test_topic_is_not_assigned_to_a_vacant_post_nor_one_that_is_not_there(ctx: Context):
    post, topic = first_post(ctx, township(ctx)), open_topic(ctx)
    with pytest.raises(Invalid):
        act(ctx, posts.assign, topic, DutyForm(post=post))
    with pytest.raises(NotFound):
        act(ctx, posts.assign, topic, DutyForm(post=post + 100))
    with pytest.raises(NotFound):
        act(ctx, posts.assign, "0" * 64, DutyForm(post=post))


def test_post_gives_its_role_as_long_as_it_is_held(ctx: Context):
    user = person(ctx, "赵任", "auditor")
    unit = township(ctx)
    post = act(ctx, posts.add_post, unit, PostForm(title="分管领导", role="leader")).id
    token = sign_in(ctx, "赵任", PASSWORD).token
    assert authenticate(ctx, token).roles == {"auditor"}
    give(ctx, post, user)
    assert authenticate(ctx, token).roles == {"auditor", "leader"}
    give(ctx, post, None)
    assert authenticate(ctx, token).roles == {"auditor"}
    with pytest.raises(Invalid):
        act(ctx, posts.add_post, unit, PostForm(title="x", role="king"))


def test_coordinator_works_on_topics_of_her_unit_and_below_and_on_no_other(ctx: Context):
    user = person(ctx, "赵统")
    give(ctx, first_post(ctx, township(ctx)), user)
    actor = Actor(user, "赵统", frozenset({"coordinator"}))
    mine = open_topic(ctx, unit=TOWNSHIP)
    village = open_topic(ctx, unit=TOWNSHIP + "201")
    other = open_topic(ctx, unit="620102002")
    note = api.NoteForm(text="看过")
    for topic in (mine, village):
        perform(ctx, Command(actor, "note").about(topic), lambda batch, topic=topic: work.note(batch, topic, note))
    with pytest.raises(NotAllowed):
        perform(ctx, Command(actor, "note").about(other), lambda batch: work.note(batch, other, note))
    with pytest.raises(NotAllowed):
        perform(ctx, Command(actor, "open").about(unit="620102002"), lambda batch: other)
    with pytest.raises(NotAllowed):
        perform(ctx, Command(actor, "escalate").about(mine), lambda batch: mine)


def test_relation_is_by_post_then_unit_then_node(ctx: Context):
    user = person(ctx, "赵统")
    post = first_post(ctx, township(ctx))
    give(ctx, post, user)
    mine, other = open_topic(ctx, unit=TOWNSHIP), open_topic(ctx)
    with write(ctx) as batch:
        assert relation(batch, user, mine, None) == Relation.UNIT
        assert relation(batch, user, other, None) == Relation.NODE
        assert relation(batch, user, None, None) == Relation.NODE
    act(ctx, posts.assign, other, DutyForm(post=post))
    with write(ctx) as batch:
        assert relation(batch, user, other, None) == Relation.POST
        assert relation(batch, user + 1, other, None) == Relation.NODE


def test_a_post_has_one_holder_at_a_time(ctx: Context):
    post = first_post(ctx, township(ctx))
    first, second = person(ctx, "甲"), person(ctx, "乙")
    give(ctx, post, first)
    with pytest.raises(Invalid):
        give(ctx, post, first)
    give(ctx, post, second)
    with reading(ctx.engine) as conn:
        rows = conn.execute(select(tenures).where(tenures.c.post_id == post).order_by(tenures.c.id)).all()
        assert [(row.user_id, row.until is None) for row in rows] == [(first, False), (second, True)]
        assert conn.execute(select(post_rows.c.id)).all()


@pytest.mark.parametrize(
    ("staff", "flags"),
    [
        ([("站长", True), ("副站长", True)], []),
        ([("站长", False), ("副站长", True)], ["vacant 站长", "no-head"]),
        ([("站长", True)], ["deputies 0"]),
        ([("站长", True), *[("副站长", True)] * 3], ["deputies 3"]),
    ],
)
def test_station_lacks_a_head_or_the_right_number_of_deputies(staff: list[tuple[str, bool]], flags: list[str]):
    assert lacking("station", staff) == flags
