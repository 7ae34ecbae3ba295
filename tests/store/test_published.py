"""A code list that is published comes into force here and below, and what was derived from the old one is renewed."""

from pathlib import Path

from node.context import Context
from node.service import read
from node.service.commit import write
from node.service.open import open_topic
from node.service.published import publish
from schemas.api import OpenForm, TopicFilter
from schemas.ids import Tier
from tests.nodes import do, join, lane, make, reload, settle

BEFORE = (
    b"code,name,level,parent\n620000,A,province,\n620100,B,city,620000\n620200,C,city,620000\n620102,D,county,620100\n"
)
AFTER = BEFORE.replace(b"620102,D,county,620100", b"620102,D,county,620200")


def test_division_table_published_moves_topics_to_their_new_city_here_and_below(tmp_path: Path, database_url: str):
    province = make(tmp_path, "620000", Tier.PROVINCE, root=True, database_url=database_url)
    city = join(province, make(tmp_path, "620100", Tier.CITY))
    province = reload(province)
    link = lane(city, province)
    for table, upper in ((BEFORE, "620100"), (AFTER, "620200")):
        with write(province) as batch:
            publish(batch, "divisions", table)
        settle([link], [city])
        if table is BEFORE:
            for ctx in (province, city):
                do(ctx, open_topic, OpenForm(title="路灯不亮", text="夜间看不清", areas=["620102"]))
            settle([link], [city])
        for ctx in (province, city):
            found = {code: _count(ctx, code) for code in ("620100", "620200", "620102")}
            assert found == {"620100": 0, "620200": 0} | {upper: found["620102"], "620102": found["620102"]}
            assert found["620102"] > 0
    for ctx in (province, city):
        ctx.engine.dispose()


def _count(ctx: Context, area: str) -> int:
    return len(read.topics(ctx, TopicFilter(area=area), None, 50).items)
