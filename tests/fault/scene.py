"""Where every act begins: four joined nodes with topics in all states, and one that is about to join.

Made once and copied for each trial. What is still on its way between the nodes is left there on purpose: the exchange
carries it while faults happen.
"""

import json
import shutil
from pathlib import Path

from sqlalchemy import text

from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.service import joining, remark, split
from node.service.bundle import export_bundle
from node.service.commit import write
from node.service.identity import load
from schemas import api
from schemas.ids import Tier
from tests.nodes import do, lane, make, settle
from tests.store.tree import (
    CITY,
    COUNTY,
    OTHER,
    PROVINCE,
    accept,
    close,
    decline,
    make_template,
    note,
    offer_down,
    offer_up,
    open_topic,
    report,
    result,
    steps,
)

NEWCOMER = "620104"
WORK = ("decide", "research", "consult", "implement")
SHEET = "留言主题,留言详情,地区\n" + "".join(
    f"第{n}条：路灯不亮,请城关区{n}号路修一修路灯。,620102\n" for n in range(40)
)
Notes = dict[str, str]
"""What acts have to know: topics by what they are there for, tokens and requests."""


def load_node(folder: Path, code: str, new_start: bool = False) -> Context:
    return load(Settings(data=folder / code, disk_reserve_bytes=0), Clock(), new_start)


def shut(ctx: Context) -> None:
    """As a process ends in order."""
    ctx.engine.dispose()
    if ctx.pool is not None:
        ctx.pool.shutdown()


def copy(template: Path, folder: Path, codes: tuple[str, ...]) -> None:
    """The data folders of these nodes, where the template has them, in `folder`."""
    for code in codes:
        if (template / code).exists():
            shutil.copytree(template / code, folder / code)


def build(folder: Path) -> Path:
    """The template, in `folder`."""
    make_template(folder)
    province, city, county, other = (load_node(folder, code) for code in (PROVINCE, CITY, COUNTY, OTHER))
    children = [county, other, city]
    links = [lane(county, city), lane(other, city), lane(city, province)]
    notes = _settled(city, county, lambda: settle(links, children))
    _on_its_way(city, county, notes)
    notes |= _newcomer(folder, city)
    (folder / "county.bundle").write_bytes(export_bundle(county, CITY))
    (folder / "city.bundle").write_bytes(export_bundle(city, COUNTY))
    (folder / "sheet.csv").write_text(SHEET, "utf-8")
    (folder / "notes.json").write_text(json.dumps(notes))
    for ctx in (province, city, county, other):
        with ctx.engine.connect() as conn:
            conn.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        shut(ctx)
    return folder


def _settled(city: Context, county: Context, rest) -> Notes:
    """Topics that both ends know."""
    names = ("active", "accept", "decline", "recall", "give_back", "on_way_accepted", "on_way_declined", "ended")
    notes = {name: open_topic(county, name, f"{name}：请处理。" * 20) for name in names}
    for name in names[1:7]:
        offer_up(county, notes[name])
    rest()
    accept(city, notes["give_back"])
    steps(county, notes["ended"], *WORK)
    result(county, notes["ended"])
    steps(county, notes["ended"], "feedback")
    notes["closed"] = open_topic(county, "已办结")
    steps(county, notes["closed"], *WORK)
    result(county, notes["closed"])
    steps(county, notes["closed"], "feedback")
    close(county, notes["closed"])
    notes["wide"] = open_topic(city, "两县的路", "分段修。" * 50)
    notes["down"] = open_topic(city, "交给区里", "请办。" * 50)
    offer_down(city, notes["down"], COUNTY)
    part = api.SplitPart(to=COUNTY, role="lead", title="城关段", instruction="修城关段")
    notes["above"] = open_topic(city, "已分办")
    do(city, split.split, notes["above"], api.SplitForm(parts=[part]))
    rest()
    return notes


def _on_its_way(city: Context, county: Context, notes: Notes) -> None:
    """Said and not yet heard, in both directions: an acceptance, a decline, parts of text, a finished topic."""
    accept(city, notes["on_way_accepted"])
    decline(city, notes["on_way_declined"])
    words = api.RemarkForm(kind="comment", text="已阅。")
    do(city, remark.remark, notes["give_back"], words)
    accept(county, notes["down"])
    steps(county, notes["down"], *WORK)
    result(county, notes["down"])
    report(county, notes["down"])
    for n in range(4):
        topic = open_topic(county, f"新议题{n}", f"第{n}件，" + "详情如下。" * 400)
        note(county, topic)
        offer_up(county, topic)


def _newcomer(folder: Path, city: Context) -> Notes:
    """A node that is made and invited but has not joined."""
    ctx = make(folder, NEWCOMER, Tier.COUNTY)
    shut(ctx)
    with write(city) as batch:
        token = joining.invite(batch, NEWCOMER, Tier.COUNTY, "西固区政协")
    return {"token": token}
