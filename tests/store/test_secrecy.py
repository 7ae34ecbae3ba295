"""What is not shared stays at home: every byte of every link over a long story, searched for what no link may carry.

The story has all that makes nodes write to each other: joining, all verbs up and down, parts of each visibility,
imports, citizens' matters, a restore with its comparing and healing, claims, summaries and totals, bundles, logs.
"""

import base64
import gzip
import hashlib
import io
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from node.context import Context
from node.service import claims, drafts, exchange, finish, giveback, joining, log, photos, split, totals, work
from node.service import remark as saying
from node.service.bundle import export_bundle, import_bundle
from node.service.commit import write
from node.service.intake import import_topics
from node.service.open import start
from node.service.parts import PULLS_MAX
from node.store import tables as t
from schemas import api
from schemas.drafts import MatterForm, RefuseForm, TakeForm
from schemas.entry import Noted
from schemas.exchange import Pull
from schemas.ids import Tier
from sync.strict import dumps, strict_json
from sync.transport import Reply
from tests import nodes
from tests.nodes import Wire, do
from tests.store.captured import Captured
from tests.store.lives import brought_back, by, heal, saved
from tests.store.test_summaries import summed
from tests.store.tree import (
    COUNTY,
    OTHER,
    Tree,
    accept,
    close,
    decline,
    offer_down,
    offer_up,
    open_topic,
    recall,
    report,
    result,
    rows,
    steps,
)

LARGE = 200_000
"""Bytes of an attachment: more than one chunk."""
WINDOW = 24
ALL_STEPS = ("decide", "research", "consult", "implement", "feedback")
WAITING = {"text": "还在等候受理的来信：后巷积水没过膝盖", "name": "白等候", "phone": "13993100001"}
SHEET = """编号,留言用户,联系电话,地址,留言主题,留言时间,留言详情,答复意见,答复时间,点赞数,反对数
701,司马导入,13993100002,导入巷一百零七号,路灯不亮,2019/4/25 9:32:09,多日没有灯了。,已转住建局。,2019/5/10 14:56:53,3,1
"""


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Captured:
    """Whatever any wire carries from here on, in both directions."""
    found, post = Captured(), Wire.post

    def recording(wire: Wire, path: str, body: bytes, media_type: str, silence_s: float) -> Reply:
        reply = post(wire, path, found.add("wire up", body), media_type, silence_s)
        return Reply(reply.status, found.add("wire down", reply.body))

    monkeypatch.setattr(Wire, "post", recording)
    return found


@pytest.fixture
def tree(template: Path, tmp_path: Path) -> Iterator[Tree]:
    """All on SQLite, so that a node can be set back; what is sent does not depend on the database."""
    made = Tree(template, tmp_path / "tree", "sqlite://")
    yield made
    made.close()


# ---- the story ------------------------------------------------------------------------------------------------------


def attach(node: Context, name: str, size: int = LARGE) -> list[tuple[str, bytes, str, Any]]:
    """One part of each visibility, with contents that occur nowhere else."""
    made = []
    for share in ("full", "counts", "local"):
        said = {"remark": f"{share}附言之{name}-{node.identity.code}", "total": 7}
        made.append((f"{name}-{share}.json", dumps(said), "application/json", share))
        content = hashlib.shake_256(f"{share}/{name}/{node.identity.code}".encode()).digest(size)
        made.append((f"{name}-{share}.bin", content, "application/octet-stream", share))
    return made


def noted_with_parts(node: Context, topic: str, name: str, size: int = 200) -> None:
    with write(node) as batch:
        refs = [batch.part(*part) for part in attach(node, name, size)]
        batch.entry(topic, "noted", Noted(text="附件"), refs)


def opened_with_parts(node: Context) -> str:
    who = api.Submitter(
        name="欧阳提交", phone="13993100003", address="提交里三号楼二单元", note="不愿公开姓名，请勿外传"
    )
    form = api.OpenForm(title="供水管网老化", text="三栋楼停水四天。", areas=[COUNTY], submitter=who)
    with write(node) as batch:
        return start(batch, form, more=[batch.part(*part) for part in attach(node, "first")])


def noise(seed: str) -> bytes:
    """A picture like no other."""
    out = io.BytesIO()
    Image.frombytes("L", (64, 64), hashlib.shake_256(seed.encode()).digest(64 * 64)).save(out, "PNG")
    return out.getvalue()


def citizens_matters(node: Context) -> None:
    """One taken with its photo kept here, one with its photo shared, one refused, one still waiting."""
    for number, shared in (("13993100004", False), ("13993100005", True)):
        form = MatterForm(
            text=f"巷口路面塌陷。{shared}", name=f"诸葛群众{shared}", phone=number, place=f"塌陷巷口{shared}"
        )
        with write(node) as batch:
            kept = drafts.keep(batch, form, drafts.CITIZEN, [photos.cleaned(noise(number))])
            drafts.take(batch, kept.id, TakeForm(areas=[COUNTY], share_photos=shared))
    with write(node) as batch:
        drafts.keep(batch, MatterForm(**WAITING), drafts.CITIZEN)
        other = drafts.keep(batch, MatterForm(text=WAITING["text"] + "，已来过"), drafts.CITIZEN)
        drafts.refuse(batch, other.id, RefuseForm(reason="重复"))


def up_and_down_again(tree: Tree) -> str:
    """A topic that goes to the province and back, closed, rated, reopened; each holder adds parts of each kind."""
    topic = opened_with_parts(tree.county)
    noted_with_parts(tree.county, topic, "collected")
    for node, above in ((tree.county, tree.city), (tree.city, tree.province)):
        offer_up(node, topic)
        tree.settle()
        accept(above, topic)
        noted_with_parts(above, topic, "worked")
        tree.settle()
    steps(tree.province, topic, *ALL_STEPS[:4])
    result(tree.province, topic)
    for node, below in ((tree.province, tree.city), (tree.city, tree.county)):
        report(node, topic)
        tree.settle()
        accept(below, topic)
    steps(tree.county, topic, "feedback")
    close(tree.county, topic)
    do(tree.county, saying.remark, topic, api.RemarkForm(kind="rate", rating="satisfied", text="好"))
    tree.settle()
    do(tree.city, saying.remark, topic, api.RemarkForm(kind="comment", text="再看一看"))
    do(tree.county, finish.reopen, topic, api.ReasonForm(reason="又停水"))
    tree.settle()
    return topic


def split_and_returned(tree: Tree) -> None:
    """A topic of the city split over two counties, one part given back; another declined, another recalled."""
    topic = open_topic(tree.city, submitter={"name": "上官市级", "phone": "13993100006"})
    noted_with_parts(tree.city, topic, "before-split")
    portions = [
        api.SplitPart(to=code, role=role, title=f"{code}分题", instruction="请办理本区部分")
        for code, role in ((COUNTY, "lead"), (OTHER, "assist"))
    ]
    do(tree.city, split.split, topic, api.SplitForm(parts=portions))
    declined, recalled = open_topic(tree.city, "公交"), open_topic(tree.city, "河道")
    offer_down(tree.city, declined, COUNTY)
    offer_down(tree.city, recalled, OTHER)
    recall(tree.city, recalled)
    tree.settle()
    decline(tree.county, declined)
    for node in (tree.county, tree.other):
        (part,) = rows(node, t.topics, t.topics.c.title == f"{node.identity.code}分题")
        accept(node, part.id)
        noted_with_parts(node, part.id, "split-part")
        do(node, work.attend, part.id, api.AttendForm(headcount=12, text="座谈"))
        do(node, giveback.give_back, part.id, api.ReasonForm(reason="请市里统筹"))
    tree.settle()


def nosy(tree: Tree) -> None:
    """A parent asks for every part of which it heard that it may not have it."""
    for child in (tree.county, tree.city, tree.other):
        link = tree.lanes[child.identity.code]
        kept = [Pull(digest=ref.digest, offset=0) for ref in rows(child, t.part_refs) if ref.share != "full"]
        for at in range(0, len(kept), PULLS_MAX):
            link.pulls = tuple(kept[at : at + PULLS_MAX])
            exchange.call(child, link)


def restored(tree: Tree, folder: Path) -> None:
    """The county loses what it wrote last and is told it again by its parent."""
    backup = saved(tree, "county", folder)
    noted_with_parts(tree.county, open_topic(tree.county, "备份之后"), "after-backup")
    tree.settle()
    brought_back(tree, "county", backup)
    heal(tree)


def claimed(tree: Tree) -> None:
    topic = open_topic(tree.other, "机房", submitter={"name": "皇甫失联", "phone": "13993100007"})
    tree.settle()
    form = api.ClaimForm(topics=[topic], to=COUNTY, reason="机房烧毁")
    claim = by("张三", tree.city, lambda batch: claims.request(batch, form))
    by("李四", tree.city, lambda batch: claims.approve(batch, claim.id))
    claims.proceed(tree.city)
    heal(tree)


def joined_by_stick(tree: Tree, folder: Path, captured: Captured) -> None:
    child = nodes.make(folder, "620104", Tier.COUNTY)
    with write(tree.city) as batch:
        token = joining.invite(batch, "620104", Tier.COUNTY, "新区")
    request = captured.add("joining", joining.join_request(child, token))
    joining.finish_join(child, token, captured.add("joining", joining.enrol_child(tree.city, request)))
    child.engine.dispose()


def carried(tree: Tree, captured: Captured) -> None:
    """New notes with parts go by stick, in both directions; and all once more, as a lost stick is written again."""
    for child, parent in ((tree.county, tree.city), (tree.other, tree.city), (tree.city, tree.province)):
        for sender, receiver in ((child, parent), (parent, child)):
            topic, code = open_topic(sender, "由介质送达"), receiver.identity.code
            noted_with_parts(sender, topic, "by-stick")
            if sender is parent:
                offer_down(sender, topic, code)
            captured.add("bundle", export_bundle(sender, code, plain=True))
            import_bundle(receiver, captured.add("sealed bundle", export_bundle(sender, code)))


def logs_read(tree: Tree, captured: Captured) -> None:
    for node in tree.nodes:
        log.make_checkpoint(node)
        size = int(captured.add("log", log.checkpoint_text(node).encode()).split(b"\n")[1])
        for path in ("0/000", "entries/000"):
            captured.add("log", log.tile_bytes(node, path if size >= 256 else f"{path}.p/{size}"))


def tell(tree: Tree, folder: Path, captured: Captured) -> None:
    joined_by_stick(tree, folder, captured)
    import_topics(tree.county, "李丹", io.BytesIO(SHEET.encode()), "留言.csv")
    citizens_matters(tree.county)
    up_and_down_again(tree)
    split_and_returned(tree)
    restored(tree, folder)
    claimed(tree)
    summed(tree)
    for node in tree.nodes:
        totals.tick(node)
    nosy(tree)
    carried(tree, captured)
    tree.settle()
    logs_read(tree, captured)
    tree.check()


# ---- what is searched for -------------------------------------------------------------------------------------------


def values(content: bytes, media: str) -> list[bytes]:
    """What of a part betrays it: the words of a JSON object, else three pieces beyond the head all pictures share."""
    if media == "application/json":
        return [said.encode() for said in strict_json(content).values() if isinstance(said, str)]
    size = len(content)
    return [content[at : at + WINDOW] for at in (size // 3, size // 2, max(0, size - WINDOW))]


@dataclass(frozen=True)
class Kept:
    """A part at a node: `went` says that another node has its content too."""

    name: str
    share: str
    went: bool
    salt: bytes
    values: list[bytes]


def parts_of(tree: Tree) -> list[Kept]:
    """Every part of the tree, once for each reference to it."""
    contents = [(node, row) for node in tree.nodes for row in rows(node, t.parts)]
    holders = Counter(row.digest for _, row in contents)
    found = []
    for node, row in contents:
        for ref in rows(node, t.part_refs, t.part_refs.c.digest == row.digest):
            told = values(row.content, ref.media)
            found.append(Kept(ref.name, ref.share, holders[row.digest] > 1, bytes.fromhex(row.salt), told))
    return found


def test_no_link_carries_a_byte_of_what_is_not_shared(tree: Tree, tmp_path: Path, captured: Captured):
    tell(tree, tmp_path / "story", captured)
    assert captured.links() == {"wire up", "wire down", "joining", "bundle", "sealed bundle", "log"}
    parts = parts_of(tree)
    kept = [part for part in parts if part.share != "full"]
    assert {part.name for part in kept} >= {"submitter", "photo1", "first-local.bin", "by-stick-counts.json"}
    for part in kept:
        assert not part.went
        assert not captured.where(part.salt), f"the salt of {part.name}, with which its content can be guessed"
        assert not any(captured.where(value) for value in part.values), part.name
    assert not any(captured.where(said.encode()) for said in WAITING.values())
    shared = [part for part in parts if part.share == "full" and part.went]
    assert {part.name for part in shared} >= {"text", "photo1", "reply", "first-full.bin", "by-stick-full.json"}
    for part in shared:
        assert all(captured.where(value) for value in (part.salt, *part.values)), f"{part.name} was sent and not found"


SECRET = "欧阳提交 13993100003"
WRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda raw: raw,
    "escaped": lambda raw: json.dumps(raw.decode()).encode(),
    "hex": lambda raw: raw.hex().encode(),
    "base64": lambda raw: base64.b64encode(b"a" + raw + b"b"),
    "base64 for URLs": lambda raw: base64.urlsafe_b64encode(b"ab" + raw).rstrip(b"="),
    "gzip": gzip.compress,
    "cut gzip": lambda raw: gzip.compress(raw + bytes(9000))[:-20],
    "base64 in JSON in base64": lambda raw: base64.urlsafe_b64encode(b'{"data":"' + base64.b64encode(raw) + b'"}'),
    "zlib in base64": lambda raw: base64.b64encode(zlib.compress(raw)),
    "percent": lambda raw: quote(raw.decode()).encode(),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_value_is_found_however_it_is_written(name: str):
    found = Captured()
    for link in ("one", "other"):
        found.add(link, b'{"item":"' + base64.b64encode(b"nothing of that") + b'"}')
    found.add("one", WRITTEN[name](f"前文{SECRET}后文".encode()))
    assert found.where(SECRET.encode()) == {"one"}
    assert found.where("欧阳递交 13993100003".encode()) == set()
