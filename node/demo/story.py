"""What happens in the demonstration: one matter through all tiers and home again, one declined, one taken back."""

from datetime import timedelta
from typing import Any

from node.clock import instant
from node.demo.office import Answer, Office, Refused, Waiting
from node.demo.telling import Teller
from node.demo.town import Town

BEATS = 55
"""Things that happen in the story."""
DUE_IN = timedelta(days=60)
PROVINCIAL = "教育文体/教育体制/异地升学"
"""The powers catalogue gives this to the province."""
BY_THE_PROVINCE = "省里已经确定，本级负责落实"


class Story:
    def __init__(self, town: Town, teller: Teller) -> None:
        self.teller = teller
        self.province, self.city = town.province, town.city
        self.east, self.west = town.counties
        self.waiting = Waiting(town.offices, teller.clock)
        self.topics: dict[str, str] = {}

    def tell(self) -> None:
        self._up()
        self._down()
        self._parts()
        self._home()
        self._declined()
        self._recalled()

    # ---- chapters -----------------------------------------------------------------------------------------------

    def _up(self) -> None:
        self.teller.chapter("三、逐级上交", "Escalated step by step")
        east, city = self.east, self.city
        topic = east.post(
            "/api/v1/topics",
            {
                "title": "进城务工人员随迁子女在城关、七里河两区升学的条件",
                "text": "两区多个社区反映：随迁子女初中毕业后能否就地报考高中，各校说法不一，家长年年奔走。"
                "盼望统一条件、简化证明，让孩子安心读书。",
                "areas": ["620102", "620103"],
                "source": "委员工作站",
                "submitter": {"name": "王女士", "phone": "13900000000"},
            },
        )
        id = self.topics["main"] = topic["id"]
        self._beat(east, f"登记议题 {topic['number']}：{topic['title']}", "opens a topic that concerns both counties")
        self._do(east, id, "note", {"text": "走访雁滩、铁路新村四个社区，座谈家长 36 人，汇总问题 3 类。"})
        self._beat(east, "调研走访，记入过程", "researches and notes what it found")
        self._suggested(east, id, ("city", "area"), "系统建议市级", "two counties concerned: the city's")
        self._do(east, id, "escalate", {"reason": "涉及两个区，区级无法统一", "tried": "已走访四个社区、座谈两次"})
        self._beat(east, "逐级上交兰州市", "escalates to the city")
        try:
            self._do(east, id, "note", {"text": "再补充一条"})
        except Refused as refused:
            if refused.type not in ("offer-open", "not-the-writer"):
                raise
        self._beat(east, "待签收期间不能再改，另记一条被拒绝", "may not write while it is on offer: refused")
        self._accept(city, id, "签收，成为主办单位", "accepts and is now the custodian")
        self._do(city, id, "amend", {"category": PROVINCIAL, "reason": "经核对，属异地升学政策"})
        self._beat(city, f"归类为“{PROVINCIAL}”", "gives it its category")
        self._suggested(city, id, ("province", "power"), "系统建议省级", "by the powers catalogue it is the province's")
        self._do(
            city,
            id,
            "escalate",
            {"reason": "升学条件由省里决定", "tried": "已汇总两区意见", "opinion": "建议全省统一证明材料"},
        )
        self._beat(city, "逐级上交甘肃省", "escalates to the province")
        self._accept(self.province, id, "签收", "accepts")

    def _down(self) -> None:
        self.teller.chapter("四、省里确定议题，指定下放，市里分办", "Decided, delegated with a deadline, split in two")
        province, city, id = self.province, self.city, self.topics["main"]
        self._step(province, id, "decide", "主席会议确定为重点协商议题，条件全省统一，由兰州先行。", "decides")
        due = instant(self.teller.clock.now() + DUE_IN)
        self._do(
            province,
            id,
            "delegate",
            {
                "to": "620100",
                "instruction": "牵头两区落实，两个月内报结果。",
                "due_at": due,
                "override_reason": "省里已经确定，由市里组织落实",
            },
        )
        self._beat(province, f"指定下放兰州市，限 {due[:10]} 前办结", "delegates to the city with a deadline")
        self._accept(city, id, "签收下放的议题", "accepts what was delegated")
        self._step(city, id, "research", "会同教育部门核对两区学位和材料清单。", "researches")
        self._step(city, id, "consult", "召开专题协商会，两区、学校、家长代表 28 人参加，形成四条意见。", "consults")
        parts = [
            {
                "to": "620102",
                "role": "lead",
                "title": "城关区牵头开通随迁子女升学联审窗口",
                "instruction": "一个窗口收齐材料，七个工作日答复。",
                "due_at": due,
            },
            {
                "to": "620103",
                "role": "assist",
                "title": "七里河区配合开通联审窗口",
                "instruction": "材料清单与城关区一致，数据互认。",
                "due_at": due,
            },
        ]
        view = self._do(city, id, "split", {"parts": parts})
        self.topics["lead"], self.topics["assist"] = view["children"]
        self._beat(city, "分办：城关区主办、七里河区协办", "splits it over two counties, one leads, one assists")

    def _parts(self) -> None:
        for office, name in ((self.east, "lead"), (self.west, "assist")):
            id = self.topics[name]
            self._accept(office, id, "签收分办任务", "accepts its part")
            self._step(office, id, "decide", "列入本区工作。", "decides", override_reason=BY_THE_PROVINCE)
            self._step(office, id, "research", "摸清本区学位和在读人数。", "researches")
            self._step(office, id, "consult", "与学校、社区逐条商定。", "consults")
            self._step(office, id, "implement", "窗口已开通，材料由九项减为四项。", "implements")
            self._result(office, id, "窗口运行两周，办理 63 件，答复率百分之百。")
            self._do(office, id, "report", {"text": "任务完成，请市里验收。"})
            self._beat(office, "办结上报兰州市", "reports back to the city")
        for name in ("lead", "assist"):
            id = self.topics[name]
            self._accept(self.city, id, "验收分办任务", "accepts the report")
            self._step(self.city, id, "feedback", "已向两区和学校反馈验收意见。", "gives feedback")
            self._close(self.city, id)

    def _home(self) -> None:
        self.teller.chapter("五、结果原路返回，由发起的区反馈、办结", "The result goes home the way it came")
        id = self.topics["main"]
        self._step(self.city, id, "implement", "两区窗口同标准运行，首批 118 名学生受益。", "implements")
        self._result(self.city, id, "条件统一、材料精简，两区联审窗口常态运行。")
        self._do(self.city, id, "report", {"text": "两区均已落实，报请省里审定。"})
        self._beat(self.city, "办结上报甘肃省", "reports to the province")
        self._accept(self.province, id, "审定结果", "accepts the report")
        self._do(self.province, id, "report", {"text": "同意，按原路返回并向群众反馈。"})
        self._beat(self.province, "结果返回兰州市", "sends the result back down")
        self._accept(self.city, id, "接回结果", "takes it back")
        self._do(self.city, id, "report", {"text": "请城关区向反映人反馈。"})
        self._beat(self.city, "结果返回城关区", "hands it to the county where it began")
        self._accept(self.east, id, "接回结果", "takes it home")
        self._step(self.east, id, "feedback", "已当面告知反映人和四个社区，均表示满意。", "tells those who raised it")
        self._close(self.east, id)

    def _declined(self) -> None:
        self.teller.chapter("六、不予受理和撤回", "One declined, one taken back")
        west, city = self.west, self.city
        id = self._open(
            "declined", west, "小西湖一栋老楼加装电梯意见不一", "一楼与高层住户意见不一，社区协调三次无果。"
        )
        self._do(
            west,
            id,
            "escalate",
            {"reason": "希望市里主持", "tried": "社区协调三次", "override_reason": "住户要求市里出面"},
        )
        self._beat(west, "不按建议上交市里，说明了理由", "escalates against the suggestion, with its reason")
        self._offered(city, id)
        self._do(city, id, "decline", {"code": "not_our_power", "reason": "按权责清单由区里协商决定"})
        self._beat(city, "不予受理：不属本级职权", "declines: not our power")
        self._active(west, id)
        said = west.get(f"/api/v1/topics/{id}/remarks")["items"]
        code = next(item["body"]["code"] for item in said if item["kind"] == "declined")
        self._beat(west, f"收到理由（{code}），议题仍在本区，继续办理", "reads the reason and goes on with it")
        for step in ("decide", "research", "consult", "implement"):
            self._do(west, id, "step", {"step": step, "text": "在本区范围内协商办理。"})
        self._do(west, id, "result", {"outcome": "A", "text": "住户签订协议，电梯开工。"})
        self._do(west, id, "step", {"step": "feedback", "text": "已向全体住户公示。"})
        self._close(west, id)

    def _recalled(self) -> None:
        east = self.east
        id = self._open("recalled", east, "雁滩路口信号灯配时", "早高峰左转排队过长，盼望调整配时。")
        reason = {"reason": "请市里协调", "tried": "已联系交警大队", "override_reason": "与相邻路口联动"}
        self._do(east, id, "escalate", reason)
        self._beat(east, "上交市里", "escalates")
        self._do(east, id, "recall", {"reason": "交警大队已同意调整，不需市里出面"})
        self._beat(east, "请求撤回", "asks for it back")
        self._active(east, id)
        self._beat(east, "市里尚未签收，已撤回，仍由本区办理", "has it back: nobody had accepted yet")

    # ---- what chapters are made of ------------------------------------------------------------------------------

    def _beat(self, office: Office, chinese: str, english: str) -> None:
        self.teller.beat(office.name, chinese, english)

    def _open(self, name: str, office: Office, title: str, text: str) -> str:
        topic = office.post("/api/v1/topics", {"title": title, "text": text, "areas": [office.code]})
        self.topics[name] = topic["id"]
        self._beat(office, f"登记议题 {topic['number']}：{title}", "opens a topic")
        id: str = topic["id"]
        return id

    def _do(self, office: Office, id: str, verb: str, body: dict[str, Any]) -> Answer:
        return office.post(f"/api/v1/topics/{id}/{verb}", body)

    def _step(self, office: Office, id: str, step: str, text: str, english: str, **more: str) -> None:
        self._do(office, id, "step", {"step": step, "text": text, **more})
        self._beat(office, f"{STEP_NAMES[step]}：{text}", english)

    def _result(self, office: Office, id: str, text: str) -> None:
        self._do(office, id, "result", {"outcome": "A", "text": text})
        self._beat(office, f"办理结果 A：{text}", "records the outcome: A, solved")

    def _close(self, office: Office, id: str) -> None:
        self._do(office, id, "close", {})
        self._beat(office, "办结", "closes it")

    def _accept(self, office: Office, id: str, chinese: str, english: str) -> None:
        self._offered(office, id)
        self._do(office, id, "accept", {})
        self._beat(office, chinese, english)

    def _suggested(self, office: Office, id: str, wanted: tuple[str, str], chinese: str, english: str) -> None:
        """`wanted`: the tier, and the rule whose reason is told."""
        tier, rule = wanted
        said = office.get(f"/api/v1/topics/{id}/suggestion")
        if said["tier"] != tier:
            raise Refused(office.code, 200, {"type": ":suggestion", "detail": f"{said['tier']}, expected {tier}"})
        why = next((item["text"] for item in said["reasons"] if item["rule"] == rule), "")
        self._beat(office, f"{chinese}：{why}", english)

    def _offered(self, office: Office, id: str) -> None:
        def offered() -> bool:
            offer = (self._look(office, id) or {}).get("offer") or {}
            return bool(offer.get("to") == office.code)

        self.waiting.until(f"{office.code}: offer of {id[:12]}", offered)

    def _active(self, office: Office, id: str) -> None:
        def active() -> bool:
            view = self._look(office, id) or {}
            return (view.get("status"), view.get("custodian")) == ("active", office.code)

        self.waiting.until(f"{office.code}: {id[:12]} active again", active)

    def _look(self, office: Office, id: str) -> Answer | None:
        try:
            return office.get(f"/api/v1/topics/{id}")
        except Refused as refused:
            if refused.status == 404:
                return None
            raise


STEP_NAMES = {
    "decide": "确定议题",
    "research": "议前调研",
    "consult": "协商议事",
    "implement": "办理实施",
    "feedback": "结果反馈",
}
