"""Citizens' messages made up for the demonstration: so many kinds of matter, each in any street of a county."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from node.clock import instant
from node.domain.divisions import DivisionTree

HEAD = ["编号", "主题", "内容", "时间", "姓名", "类别", "地区", "来源"]
MATTERS = (
    (
        "城乡建设/住房保障与房地产/物业服务",
        "{place}老旧小区电梯停运一个月",
        "物业说维修资金不够，高层老人出不了门，盼望协调。",
    ),
    (
        "城乡建设/城市建设和市政管理/园林绿化环卫",
        "{place}垃圾清运不及时",
        "垃圾点两三天才清一次，天热气味很大，多次反映没有结果。",
    ),
    (
        "城乡建设/住房保障与房地产/物业服务",
        "{place}小区地下车位只卖不租",
        "车位空着，车停满街道，消防车进不来，希望规范。",
    ),
    ("环境保护/环境污染/噪音污染", "{place}工地夜间施工扰民", "连续半个月凌晨还在打桩，学生和老人无法休息。"),
    ("民政/社会救助/城镇低保", "{place}低保复核材料重复提交", "同样的证明交了三个窗口，盼望一次交齐、部门之间互认。"),
    ("劳动和社会保障/劳动关系/农民工权益", "{place}装修工人工资拖欠", "十二名工人三个月没有领到工资，请帮助协调。"),
    ("教育文体/教育体制/异地升学", "{place}随迁子女就读要跑多个部门", "同一套材料各校要求不同，家长请假跑了五趟。"),
    ("卫生计生/医政监管/医疗机构管理", "{place}社区卫生站下午没有医生", "慢性病取药只能上午排队，建议安排轮班。"),
    (
        "劳动和社会保障/城镇职工社会保险/职工养老保险",
        "{place}灵活就业人员养老保险转移慢",
        "材料交了四个月没有答复，影响办理退休。",
    ),
    (
        "城乡建设/城市建设和市政管理/园林绿化环卫",
        "{place}口袋公园健身器材损坏",
        "器材松动多处，孩子容易受伤，请尽快修理。",
    ),
    ("农村农业/水利水电/江河湖治理", "{place}河道岸坡塌陷", "雨后岸坡又塌了两处，附近住户担心安全。"),
    ("农村农业/惠农补贴/农机农资补贴", "{place}农机补贴公示看不懂", "公示只有编号没有名目，村民不知道少了哪一项。"),
    ("环境保护/环境污染/噪音污染", "{place}广场音响声音太大", "晚上九点以后还很响，社区劝说几次没有改变。"),
    (
        "城乡建设/住房保障与房地产/物业服务",
        "{place}供暖温度达不到标准",
        "室内只有十五度，热力公司和物业互相推，请明确由谁负责。",
    ),
    ("民政/社会救助/医疗救助", "{place}大病救助申请流程不清楚", "不知道先找社区还是先找医保，希望有一张明白纸。"),
    ("农村农业/村务管理/村务公开", "{place}集体资金使用没有按月公开", "村民希望按月张贴，看得清、问得到。"),
)
SURNAMES = "王李张刘陈杨赵黄周吴徐孙马朱胡郭何林高罗"
DAYS_BACK = 55
SOURCES = ("热线", "委员工作站", "社情民意", "来信来访")


def made_up(tree: DivisionTree, code: str, wanted: Sequence[str | None], now: datetime) -> Iterator[list[str]]:
    """Rows below `HEAD` for the office of a division that has others below it, one for each place; None: any below."""
    below = [place for place in tree.children(code) if place.name]
    count = len(wanted)
    for n, named in enumerate(wanted):
        category, title, text = MATTERS[n % len(MATTERS)]
        place = (tree.get(named) if named else None) or below[(n * 7 + n // len(MATTERS)) % len(below)]
        at = now - timedelta(days=n * DAYS_BACK // count, hours=n % 9)
        who = SURNAMES[n % len(SURNAMES)] + ("女士" if n % 2 else "先生")
        source = SOURCES[n % len(SOURCES)]
        yield [f"{code}-{n + 1}", title.format(place=place.name), text, instant(at), who, category, place.code, source]
