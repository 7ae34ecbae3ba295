"""The columns of exported rows, each with its meaning: the data dictionary."""

from dataclasses import dataclass
from typing import Literal

Type = Literal["text", "number", "yes/no", "instant"]


@dataclass(frozen=True, slots=True)
class Column:
    """`name` is that of the row as stored; `empty` says whether it can hold nothing."""

    name: str
    type: Type
    empty: bool
    chinese: str
    english: str


COLUMNS: tuple[Column, ...] = (
    Column("topic", "text", False, "议题标识", "identity of the topic: SHA-256 of its first entry"),
    Column("number", "text", False, "议题编号：节点-年份-序号", "number for people: node, year, count"),
    Column("origin", "text", False, "发起节点代码", "node that opened it"),
    Column("custodian", "text", False, "当前承办节点代码", "node that holds it now"),
    Column("kind", "text", False, "种类：matter 议题，lead 主办分题，assist 协办分题", "kind: matter, lead or assist"),
    Column("category", "text", True, "分类路径", "path in the classification"),
    Column("source", "text", True, "来源", "where it came from"),
    Column("areas", "text", True, "涉及区划代码，空格分隔", "codes of the places concerned, separated by spaces"),
    Column("unit", "text", True, "提出单位（乡镇、村）代码", "township or village that raised it"),
    Column("status", "text", False, "状态：active offered closed frozen", "active, offered, closed or frozen"),
    Column("step", "text", False, "六步议事中最后完成的一步", "last completed of the six steps"),
    Column("outcome", "text", True, "结果：A 解决或采纳 B 列入计划 C 暂不能解决 D 留作参考", "outcome A, B, C or D"),
    Column("overdue", "yes/no", False, "导出时是否逾期", "past due_at and not closed, at the time of export"),
    Column("due_at", "instant", True, "办理期限", "when the work is due"),
    Column("answer_by", "instant", True, "待签收时的答复期限", "when an open offer is to be answered"),
    Column("tier_reached", "text", False, "曾到达的最高层级", "highest tier that held it"),
    Column("hops", "number", False, "交接次数", "how often custody was taken"),
    Column("returns", "number", False, "退回次数（不予受理与退回）", "offers declined, and given back undone"),
    Column("reopened", "number", False, "再办理次数", "how often it was reopened"),
    Column("suggested", "number", False, "系统给出层级建议的次数", "decisions for which a tier was suggested"),
    Column("followed", "number", False, "采纳层级建议的次数", "of those, decided without an override"),
    Column("participations", "number", False, "参与人次", "people who took part, each time counted"),
    Column("rating", "text", True, "满意度评价", "satisfied, basically_satisfied or not_satisfied"),
    Column("opened_at", "instant", False, "提出时间", "when the matter was raised"),
    Column("first_action_at", "instant", True, "首次办理时间", "first act after opening"),
    Column("closed_at", "instant", True, "办结时间", "when it was closed"),
    Column("seq", "number", False, "最后一条记录的序号", "position of the last entry this says"),
    Column("head", "text", False, "最后一条记录的标识", "identity of the last entry this says"),
    Column("own", "yes/no", False, "是否据本节点所存记录计算", "read from the history held here, not from a summary"),
    Column("changed_at", "instant", False, "本节点得知的时间", "when this node learnt it"),
)
