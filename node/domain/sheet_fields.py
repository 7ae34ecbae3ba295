"""What the columns of people's sheets mean, and how their cells become text.

Decides which heading stands for which field and how text is tidied: invisible characters go, odd spaces become one
space, paragraphs stay. Cells of times are `sheet_times`'s.
"""

import re
import unicodedata

TITLE_CHARS_MAX = 300  # these are the limits of the form a person fills in
LINE_CHARS_MAX = 120
TEXT_CHARS_MAX = 100_000

HEADINGS = {
    "external_id": "留言编号 编号 信件编号 工单编号 工单号 诉求编号 来件编号 受理编号 number no",
    "title": "留言主题 主题 标题 案由 题目 议题 议题名称 事项 事项名称 诉求标题 工单标题 subject",
    "text": "留言详情 留言内容 详情 内容 正文 诉求内容 问题描述 事项内容 主要内容 工单内容 来信内容 描述 content body",
    "submitted_at": "留言时间 提交时间 来信时间 受理时间 登记时间 诉求时间 反映时间 时间 日期 time date",
    "name": "留言用户 留言人 用户 姓名 联系人 反映人 诉求人 来信人 提交人 submitter user",
    "phone": "电话 手机 联系电话 手机号 手机号码 联系方式 电话号码 mobile tel",
    "address": "地址 住址 联系地址 家庭住址",
    "category": "类别 分类 类型 事项类别 问题类别 诉求类别",
    "category1": "一级分类 一级标签 一级类别 大类 level1",
    "category2": "二级分类 二级标签 二级类别 中类 level2",
    "category3": "三级分类 三级标签 三级类别 小类 level3",
    "reply": "答复意见 答复内容 答复 回复 回复内容 回复意见 办理结果 answer",
    "reply_at": "答复时间 回复时间 办结时间 answered_at",
    "likes": "点赞数 点赞 支持数 赞成数",
    "dislikes": "反对数 反对",
    "areas": "地区 区县 区划 区划代码 行政区划 行政区划代码 涉及地区 所属地区 属地 所属区县 事发地 area region",
    "source": "来源 来件来源 渠道 诉求渠道 来源渠道 channel",
    "unit": "上报单位代码 单位代码",
    "kind": "种类 事项种类",
}
"""The headings of each field besides its own name, parted by spaces."""

_FIELD_OF = {name: field for field, names in HEADINGS.items() for name in (field, *names.split())}
_ESCAPED = re.compile(r"_x(00[01][0-9A-Fa-f])_")
_NEW_LINE = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_UNSEEN = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\uffff\ud800-\udfff]"
)
_INDENT = re.compile(r"\u3000{2,}")
_CELL_ERRORS = frozenset({"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"})


def field_of(heading: object) -> str | None:
    """The field a column's heading stands for, or None. Case, width, spaces, remarks in brackets and * do not count."""
    text = unicodedata.normalize("NFKC", as_text(heading)).lower()
    return _FIELD_OF.get(re.sub(r"\(.*?\)|[\s*:\ufeff]", "", text))


def as_text(cell: object) -> str:
    """A cell as it would be typed: 12.0 is 12, an error value of the spreadsheet is nothing."""
    if cell is None or (isinstance(cell, str) and cell in _CELL_ERRORS):
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def tidy_line(cell: object) -> str:
    """One line: whatever parts words is one space."""
    return " ".join(_plain(cell).split())


def tidy_text(cell: object) -> str:
    """Paragraphs: no space at the ends of a line, at most one empty line between two.

    Two ideographic spaces inside a line are the indent of a paragraph whose line break was lost, and give it back.
    """
    lines = (" ".join(line.split()) for line in _INDENT.sub("\n", _plain(cell)).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _plain(cell: object) -> str:
    text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), as_text(cell))  # _x000D_: a spreadsheet's line end
    return unicodedata.normalize("NFC", _UNSEEN.sub("", _NEW_LINE.sub("\n", text)))
