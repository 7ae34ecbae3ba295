"""What comes by the public door, on both databases: quarantine, taking, refusing, following, secrets."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select

from node.context import Context
from node.domain.refusals import AlreadyTaken, Invalid, NotAllowed, NotFound, TooLarge
from node.service import drafts, follow, photos, posters, posts, work
from node.service.commit import write
from node.service.perform import Actor, Command, perform
from node.service.verify import verify
from node.store.engine import reading
from node.store.office import draft_files
from node.store.office import drafts as draft_rows
from node.store.tables import part_refs, remarks, statements
from schemas.api import StepForm
from schemas.drafts import MatterForm, PosterForm, RatingForm, RefuseForm, TakeForm, WordForm
from schemas.people import UnitForm
from tests.store.office import SetClock, act, audited, make_node
from tests.store.tree import close, open_topic, result, steps
from tests.store.tree import rows as stored

TEXT = "永昌路路灯不亮\n晚上看不见路，老人摔倒了。"
ALL_STEPS = ("decide", "research", "consult", "implement", "feedback")


@pytest.fixture
def ctx(database_url: str, tmp_path: Path) -> Iterator[Context]:
    made = make_node(tmp_path, database_url, SetClock())
    yield made
    made.engine.dispose()


def sent(ctx: Context, text: str = TEXT, photos: tuple[bytes, ...] = (), poster: str | None = None, **more: str) -> str:
    form = MatterForm(text=text, name="张三", phone="13893000000", place="永昌路口", **more)
    return str(act(ctx, drafts.keep, form, "citizen", photos, poster, by="citizen").secret)


def waiting(ctx: Context) -> list[int]:
    return [item.id for item in drafts.page(ctx, "waiting", None, 50).items]


def taken(ctx: Context, **form: object) -> tuple[str, str]:
    """(secret, topic) of a matter that a clerk has taken."""
    secret = sent(ctx)
    return secret, act(ctx, drafts.take, waiting(ctx)[-1], TakeForm(areas=["620102"], **form))


def finished(ctx: Context, topic: str) -> None:
    steps(ctx, topic, *ALL_STEPS)
    result(ctx, topic)
    close(ctx, topic)


def picture(form: str = "JPEG", size: tuple[int, int] = (300, 200), **more: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, form, **more)
    return out.getvalue()


# ---- quarantine -----------------------------------------------------------------------------------------------------


def test_matter_waits_unsigned_and_its_secret_is_128_bits_of_which_a_hash_is_kept(ctx: Context):
    before = len(stored(ctx, statements))
    secret = sent(ctx)
    assert len(bytes.fromhex(secret)) == 16
    assert len(stored(ctx, statements)) == before
    with reading(ctx.engine) as conn:
        assert secret not in repr(conn.execute(select(draft_rows)).all())
    assert audited(ctx)[-1] == ("citizen", "keep_draft", "done")
    assert follow.story(ctx, secret).stage == "waiting"


def test_taken_matter_is_a_topic_with_submitter_local_and_a_signed_promise(ctx: Context):
    secret, topic = taken(ctx)
    view = drafts.page(ctx, "taken", None, 10).items[0]
    assert (view.topic, view.decided_by, view.title) == (topic, "王强", "永昌路路灯不亮")
    shares = {row.name: row.share for row in stored(ctx, part_refs, part_refs.c.topic == topic)}
    assert shares == {"text": "full", "submitter": "local"}
    said = stored(ctx, remarks, remarks.c.topic == topic)
    assert [row.kind for row in said] == ["promised"]
    told = follow.story(ctx, secret)
    assert (told.stage, told.holder, str(told.promised)) == ("working", "城关区政协", "2026-06-02 15:59:59+00:00")
    assert verify(ctx).ok


def test_draft_is_decided_once(ctx: Context):
    taken(ctx)
    draft = drafts.page(ctx, "taken", None, 10).items[0].id
    for attempt in (
        lambda: act(ctx, drafts.take, draft, TakeForm()),
        lambda: act(ctx, drafts.refuse, draft, RefuseForm(reason="x")),
    ):
        with pytest.raises(AlreadyTaken):
            attempt()
    with pytest.raises(NotFound):
        act(ctx, drafts.take, draft + 100, TakeForm())


def test_refused_matter_tells_the_citizen_why_and_its_photos_are_gone(ctx: Context):
    secret = sent(ctx, photos=(photos.cleaned(picture()),))
    act(ctx, drafts.refuse, waiting(ctx)[0], RefuseForm(reason="不属于本级职权，请向县供电公司反映。"))
    told = follow.story(ctx, secret)
    assert (told.stage, told.reason) == ("refused", "不属于本级职权，请向县供电公司反映。")
    assert stored(ctx, draft_files) == []


def test_bad_area_leaves_the_draft_waiting(ctx: Context):
    sent(ctx)
    with pytest.raises(Invalid):
        act(ctx, drafts.take, waiting(ctx)[0], TakeForm(areas=["999999"]))
    assert len(waiting(ctx)) == 1


def test_quota_refuses_more_and_staff_work_goes_on(ctx: Context, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drafts, "WAITING_MAX", 3)
    for _ in range(3):
        sent(ctx)
    with pytest.raises(drafts.DraftsFull):
        sent(ctx)
    assert open_topic(ctx)
    act(ctx, drafts.refuse, waiting(ctx)[0], RefuseForm(reason="重复"))
    assert sent(ctx)


def test_coordinator_takes_what_came_by_her_units_code_and_no_other(ctx: Context):
    unit = act(ctx, posts.add_unit, UnitForm(kind="room", name="雁滩协商议事室", code="620102013")).id
    code = act(ctx, posters.make, PosterForm(unit=unit)).code
    sent(ctx, poster=code)
    sent(ctx)
    mine, other = waiting(ctx)
    assert drafts.place_of(ctx, mine) == (None, "620102013")
    stranger = Actor(99, "外人", frozenset({"coordinator"}))
    command = Command(stranger, "take_draft").about(*drafts.place_of(ctx, mine))
    with pytest.raises(NotAllowed):
        perform(ctx, command, lambda batch: drafts.take(batch, mine, TakeForm()))
    topic = act(ctx, drafts.take, mine, TakeForm(areas=["620102"]))
    with write(ctx) as batch:
        found = batch.working(topic).topic
        assert found is not None
        assert (found.unit, found.source) == ("620102013", "群众扫码")
    assert waiting(ctx) == [other]


def test_intake_while_healing_is_kept_without_a_word_signed(ctx: Context):
    before = len(stored(ctx, statements))
    draft = act(ctx, drafts.keep, MatterForm(text="停电两天")).id
    assert len(stored(ctx, statements)) == before
    topic = act(ctx, drafts.take, draft, TakeForm(title="停电", areas=["620102"]))
    assert stored(ctx, remarks, remarks.c.topic == topic) == [], "nobody was promised anything"


# ---- following ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["", "0" * 32, "x" * 32, "0" * 31, "0" * 33, "%00", "../etc", "A" * 32])
def test_every_wrong_secret_is_not_found_alike(ctx: Context, secret: str):
    sent(ctx)
    for ask in (follow.story, follow.topic_of):
        with pytest.raises(NotFound) as refused:
            ask(ctx, secret)
        assert refused.value.detail == ""


def test_result_is_not_the_end_and_closing_is(ctx: Context):
    secret, topic = taken(ctx)
    steps(ctx, topic, *ALL_STEPS)
    result(ctx, topic)
    told = follow.story(ctx, secret)
    assert told.stage == "answered"
    assert not told.may_reopen
    close(ctx, topic)
    told = follow.story(ctx, secret)
    assert (told.stage, told.may_reopen) == ("closed", True)
    assert [event.kind for event in told.events] == ["opened", "resulted", "closed"]
    assert told.events[1].text == "已修好"


def test_story_tells_no_entry_but_results_and_no_name(ctx: Context):
    secret, topic = taken(ctx)
    act(ctx, work.step, topic, _step("内部意见：先压一压"))
    assert "内部意见" not in repr(follow.story(ctx, secret))
    told = follow.topic_story(ctx, topic)
    assert (told.text, told.said) == (None, ())
    assert "张三" not in repr(told)


def test_rating_is_signed_once_for_each_closing_and_never_before(ctx: Context):
    secret, topic = taken(ctx)
    with pytest.raises(AlreadyTaken):
        act(ctx, follow.rate, topic, RatingForm(rating="satisfied"))
    finished(ctx, topic)
    act(ctx, follow.rate, topic, RatingForm(rating="not_satisfied", text="灯又坏了"), by="citizen")
    assert follow.story(ctx, secret).rating == "not_satisfied"
    with pytest.raises(AlreadyTaken):
        act(ctx, follow.rate, topic, RatingForm(rating="satisfied"))
    kinds = [row.kind for row in stored(ctx, remarks, remarks.c.topic == topic)]
    assert kinds.count("rate") == 1
    assert [item.kind for item in drafts.page(ctx, "waiting", None, 10).items] == ["comment"]


def test_wish_to_reopen_waits_once_and_taken_it_reopens(ctx: Context):
    secret, topic = taken(ctx)
    with pytest.raises(AlreadyTaken):
        act(ctx, follow.ask_to_reopen, topic, WordForm(text="没修"))
    finished(ctx, topic)
    act(ctx, follow.ask_to_reopen, topic, WordForm(text="灯又坏了，请再看看"))
    with pytest.raises(AlreadyTaken):
        act(ctx, follow.ask_to_reopen, topic, WordForm(text="再问一次"))
    act(ctx, drafts.take, waiting(ctx)[0], TakeForm())
    assert follow.story(ctx, secret).stage == "working"


def test_comment_becomes_a_remark_only_when_a_clerk_takes_it(ctx: Context):
    secret, topic = taken(ctx)
    act(ctx, follow.comment, topic, WordForm(text="昨天又停了"))
    assert [row.kind for row in stored(ctx, remarks, remarks.c.topic == topic)] == ["promised"]
    act(ctx, drafts.take, waiting(ctx)[0], TakeForm())
    assert [row.kind for row in stored(ctx, remarks, remarks.c.topic == topic)] == ["promised", "comment"]
    assert [(word.state, word.text) for word in follow.story(ctx, secret).said] == [("taken", "昨天又停了")]


# ---- codes ----------------------------------------------------------------------------------------------------------


def test_code_is_the_same_each_time_and_names_what_it_is_for(ctx: Context):
    topic = open_topic(ctx)
    first = act(ctx, posters.make, PosterForm(topic=topic))
    assert act(ctx, posters.make, PosterForm(topic=topic)).code == first.code
    office = act(ctx, posters.make, PosterForm())
    assert len({first.code, office.code}) == 2
    assert first.url == f"http://127.0.0.1:8000/p/{first.code}"
    assert posters.poster(ctx, first.code).topic == topic
    for code in ("", "nothing", first.code.upper()):
        with pytest.raises(NotFound):
            posters.poster(ctx, code)
    with pytest.raises(NotFound):
        act(ctx, posters.make, PosterForm(topic="0" * 64))


# ---- photos ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_photo_is_written_anew_as_a_plain_jpeg(form: str):
    with Image.open(io.BytesIO(photos.cleaned(picture(form)))) as image:
        assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (300, 200), {})


def test_photo_loses_what_the_camera_added_and_stands_upright():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera of 张三"
    exif.get_ifd(0x8825)[1] = "N"
    given = picture(exif=exif)
    assert b"Camera" in given
    clean = photos.cleaned(given)
    assert b"Camera" not in clean
    assert b"Exif" not in clean
    with Image.open(io.BytesIO(clean)) as image:
        assert image.size == (200, 300)


def test_large_photo_is_made_smaller():
    with Image.open(io.BytesIO(photos.cleaned(picture(size=(5000, 3000))))) as image:
        assert max(image.size) == photos.SIDE_MAX


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"GIF89a" + bytes(100),
        picture()[:80],
        picture("BMP"),
        picture("GIF"),
        b"%PDF-1.7",
        b"\x89PNG\r\n\x1a\n" + bytes(50),
    ],
)
def test_what_is_no_photo_is_refused(content: bytes):
    with pytest.raises(Invalid):
        photos.cleaned(content)


def test_bomb_of_pixels_is_refused_before_it_is_unpacked():
    with pytest.raises(TooLarge):
        photos.cleaned(picture("PNG", (8000, 6000)))
    with pytest.raises(TooLarge):
        photos.cleaned(bytes(photos.BYTES_MAX + 1))


def _step(text: str) -> StepForm:
    return StepForm(step="decide", text=text, override_reason="特")
