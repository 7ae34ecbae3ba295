"""The people at the nodes: every verb, mostly where it makes sense, often enough where it does not."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

from sqlalchemy import select

from node.domain.errors import DomainError
from node.domain.refusals import NotFound
from node.domain.topic import STEPS
from node.service import decide, delegate, escalate, finish, giveback, remark, split, work
from node.service import orphans as disposing
from node.service.commit import Batch
from node.service.open import open_topic
from node.service.perform import Actor, Answer, Command, perform
from node.service.verb import custody_rules, done, working_on
from node.store.tables import orphans
from schemas import api
from schemas import entry as bodies
from schemas import remark as beside
from schemas.entry import Outcome, Role
from schemas.ids import NodeCode, TopicId
from schemas.remark import PersonDeclineCode, PersonRemark, Rating
from sync.errors import Refused
from tests.sim.ledger import Violation
from tests.sim.machine import NEW_ENTRY, NEW_REMARK, Machine, NoRoom

if TYPE_CHECKING:
    from tests.sim.checks import Seen
    from tests.sim.world import World

CLERK = Actor(1, "clerk", frozenset({"clerk"}))
TURN, ELSEWHERE = 0.8, 0.93
"""Shares of commands: whose turn it is, then others who take part; the rest is out of place."""
SECOND_THOUGHTS = 0.08
"""Share of commands that follow upon the last one, by the same person."""
SENSIBLE = 0.85
"""Share of arguments that fit what the operator sees."""
NOWHERE: TopicId = "0" * 64
AREAS = ("620102", "620103", "620502", "620100", "620000", "999999")
WORDS = ("路灯", "积水", "公交线路", "学校周边", "村道", "𠮷e\u0301")


def survey(batch: Batch, topic: TopicId, form: api.NoteForm) -> TopicId:
    """An entry of a kind that only the later version knows."""
    working_on(batch, topic)
    with custody_rules():
        batch.entry(topic, NEW_ENTRY, bodies.Noted(text=form.text))
    return done(batch, topic, "note")


def thank(batch: Batch, topic: TopicId, form: api.NoteForm) -> TopicId:
    """The like beside a chain."""
    chain = batch.held(topic).chain
    assert chain is not None
    batch.remark(topic, chain.head, NEW_REMARK, beside.Said(text=form.text))
    return done(batch, topic, "remark")


def dispose(batch: Batch, topic: TopicId, form: api.DisposeForm) -> TopicId:
    """Decide on the first orphan that nobody has disposed of; where all are, on one of them once more."""
    held = select(orphans.c.id).where(orphans.c.topic == topic)
    found = batch.conn.execute(held.order_by(orphans.c.disposed.is_not(None), orphans.c.seq, orphans.c.id)).scalar()
    if found is None:
        raise NotFound(topic)
    return disposing.dispose(batch, topic, found, form)


ACTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "accept": ("accept", decide.accept),
    "decline": ("decline", decide.decline),
    "recall": ("recall", decide.recall),
    "escalate": ("escalate", escalate.escalate),
    "delegate": ("delegate", delegate.delegate),
    "report": ("report", giveback.report),
    "return": ("return", giveback.give_back),
    "step": ("step", work.step),
    "note": ("note", work.note),
    "amend": ("amend", work.amend),
    "result": ("result", work.result),
    "close": ("close", finish.close),
    "reopen": ("reopen", finish.reopen),
    "split": ("split", split.split),
    "detach": ("detach", split.detach),
    "remark": ("remark", remark.remark),
    "dispose": ("dispose", dispose),
    "survey": ("note", survey),
    "thank": ("remark", thank),
}
"""By name: the verb of node.domain.policy, and the service."""


@dataclass(frozen=True)
class Order:
    """One command as a client sends it, and would send it again."""

    node: NodeCode
    name: str
    topic: TopicId | None
    form: api.Form
    key: str
    side: bool = False
    """Whether a second process of the node does it, as a command line does beside the server."""

    @property
    def command(self) -> Command:
        fingerprint = hashlib.sha256(f"{self.name} {self.topic} {self.form!r}".encode()).hexdigest()
        verb = "open" if self.name == "open" else ACTS[self.name][0]
        return Command(CLERK, verb, self.key, fingerprint)

    @property
    def noted(self) -> str:
        """What the audit calls it."""
        if isinstance(self.form, api.DisposeForm):
            return f"orphan-{self.form.decision}"
        return self.command.verb

    def act(self, batch: Batch) -> TopicId:
        if self.name == "open":
            assert isinstance(self.form, api.OpenForm)
            return open_topic(batch, self.form)
        return ACTS[self.name][1](batch, self.topic, self.form)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Done:
    """A command that was acknowledged, and with which bytes."""

    order: Order
    answer: Answer
    topic: TopicId
    head: str


def carry_out(machine: Machine, order: Order) -> Done | str:
    """What the client hears: the answer, or why not. Anything but a typed refusal is a fault of the node."""
    try:
        with machine.at_work(order.side) as ctx:
            answer = perform(ctx, order.command, order.act)
    except DomainError as error:
        return type(error).__name__
    except NoRoom:
        return "no room"
    except Refused as error:
        if error.code == "too-large":
            return "too large"
        raise
    view = json.loads(answer.body)
    return Done(order, answer, view["id"], view["head"])


class Operators:
    """Chooses what to do next at a node."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = world.chance
        self._recalled: set[tuple[NodeCode, str]] = set()

    def choose(self) -> tuple[Machine, Order] | None:
        """Mostly somebody whose turn it is; else anybody, now and then with something quite out of place.

        None where it is nobody's turn, because the last word is still on its way.
        """
        world, chance = self._world, self._chance
        checker, anyone = world.checker, chance.choice(world.joined)
        if len(checker.order) < world.options.topics_max and (not checker.order or chance.random() < 0.1):
            return anyone, self._order(anyone, "open", None)
        if world.done and chance.random() < SECOND_THOUGHTS:
            return self._again(world.done[-1].order)
        luck = chance.random()
        if luck < ELSEWHERE and checker.order:
            topic = chance.choice(checker.order)
            able = sorted(checker.deciders(topic)) if luck < TURN else checker.participants(topic)
            if not able:
                return None
            machine = world.machines[chance.choice(able)]
            seen = checker.seen(machine.code, topic)
            assert seen is not None
            return machine, self._order(machine, chance.choice(self._sensible(machine, seen)), seen)
        name = chance.choice([name for name in ACTS if anyone.knows_new or name not in ("survey", "thank")])
        topic = chance.choice([*checker.order, NOWHERE])
        return anyone, self._order(anyone, name, checker.seen(anyone.code, topic), topic)

    def _again(self, last: Order) -> tuple[Machine, Order] | None:
        """The same person does it twice, or at once the opposite."""
        topic, machine = last.topic, self._world.machines[last.node]
        if topic is None:
            return None
        opposite = {"accept": "decline", "decline": "accept", "close": "note", "reopen": "close"}
        name = opposite.get(last.name, "note") if self._chance.random() < 0.6 else last.name
        return machine, self._order(machine, name, self._world.checker.seen(machine.code, topic), topic)

    def _order(self, machine: Machine, name: str, seen: "Seen | None", topic: TopicId | None = None) -> Order:
        form = self._open() if name == "open" else self._form(machine, name, seen)
        key = f"{self._chance.getrandbits(64):016x}"
        side = "second-process" in self._world.options.faults and self._chance.random() < 0.3
        return Order(machine.code, name, seen.id if seen else topic, form, key, side)

    def _sensible(self, machine: Machine, seen: "Seen") -> list[str]:
        """Verbs that may well succeed, the more useful ones more than once."""
        chain, me = seen.chain, machine.code
        names = ["remark"]
        if machine.knows_new and self._world.options.old:
            names += ["thank"] * 2
        if chain.offer is not None:
            if chain.offer.to == me:
                names += ["accept"] * 6 + ["decline"] * 2
            if chain.offer.by == me and "recall-race" in self._world.options.faults:
                names += ["recall"] * (1 if (me, chain.offer.id) in self._recalled else 4)
                self._recalled.add((me, chain.offer.id))
            return names
        if chain.custodian != me:
            return names
        if any(disposed is None for _, disposed in seen.orphans):
            names += ["dispose"] * 3
        elif seen.orphans:
            names += ["dispose"]
        if chain.closed:
            return [*names, "reopen"]
        names += ["note", "amend", "result"] + ["step"] * self._world.options.zeal
        if machine.knows_new and self._world.options.old:
            names += ["survey"]
        if any(child.state == "open" for child in chain.children):
            return [*names, "detach", "detach", "close"]
        names += ["escalate"] * 3 if self._world.options.parent(me) else []
        names += ["report", "return"] if chain.below else []
        names += ["delegate", "delegate", "split"] if self._world.below(me) else []
        if chain.at_home and seen.step == STEPS[-1]:
            names += ["close"] * 2 * self._world.options.zeal
        return names

    # ---- forms --------------------------------------------------------------------------------------------------

    def _open(self) -> api.OpenForm:
        chance = self._chance
        submitter = api.Submitter(name="某居民", phone="000") if chance.random() < 0.3 else None
        text = self._words() if chance.random() < 0.9 else "长" * 60_000
        areas = chance.sample(AREAS[:5], chance.randint(0, 2))
        if chance.random() < 0.05:
            areas.append(AREAS[5])
        return api.OpenForm(title=self._words(), text=text, areas=areas, submitter=submitter)

    def _form(self, machine: Machine, name: str, seen: "Seen | None") -> api.Form:
        chance, words = self._chance, self._words()
        why = words if chance.random() < 0.85 else None
        if name == "escalate":
            return api.EscalateForm(reason=words, tried=words, override_reason=why, answer_by=self._moment(machine))
        if name == "delegate":
            return api.DelegateForm(
                to=self._target(machine),
                instruction=words,
                override_reason=why,
                answer_by=self._moment(machine),
                due_at=self._moment(machine),
            )
        if name == "split":
            parts = [self._part(machine, n) for n in range(chance.randint(1, 3))]
            return api.SplitForm(parts=parts)
        if name == "step":
            return api.StepForm(step=self._next_step(seen), text=words, override_reason=why)
        if name == "detach":
            return api.DetachForm(topic=self._child(seen), reason=words)
        if name == "remark":
            return self._remark(seen, words)
        if name == "amend":
            title, areas = chance.choice(((words, None), (None, ["620102"]), (words, []), (None, None)))
            return api.AmendForm(title=title, areas=areas, reason=words)
        simple: dict[str, Callable[[], api.Form]] = {
            "accept": api.AcceptForm,
            "decline": lambda: api.DeclineForm(code=chance.choice(get_args(PersonDeclineCode)), reason=words),
            "recall": lambda: api.RecallForm(reason=words),
            "report": lambda: api.ReportForm(text=words),
            "return": lambda: api.ReasonForm(reason=words),
            "dispose": lambda: api.DisposeForm(decision=chance.choice(("adopt", "set_aside")), reason=words),
            "reopen": lambda: api.ReasonForm(reason=words),
            "result": lambda: api.ResultForm(outcome=chance.choice(get_args(Outcome)), text=words),
            "close": lambda: api.CloseForm(text=why),
        }
        return simple.get(name, lambda: api.NoteForm(text=words))()

    def _words(self) -> str:
        chance = self._chance
        return "".join(chance.choice(WORDS) for _ in range(chance.randint(1, 4)))

    def _moment(self, machine: Machine) -> Any:
        if not self._world.options.deadlines or self._chance.random() < 0.7:
            return None
        at = machine.clock.now() + timedelta(seconds=self._chance.randint(-600, 3600))
        return at.isoformat()

    def _target(self, machine: Machine) -> NodeCode:
        below = self._world.below(machine.code)
        if below and self._chance.random() < SENSIBLE:
            return self._chance.choice(below)
        return self._chance.choice((*self._world.options.codes, "999999"))

    def _part(self, machine: Machine, n: int) -> api.SplitPart:
        role: Role = "lead" if n == 0 or self._chance.random() < 0.1 else "assist"
        return api.SplitPart(
            to=self._target(machine), role=role, title=self._words(), instruction=self._words(), due_at=None
        )

    def _next_step(self, seen: "Seen | None") -> Any:
        done_steps = STEPS.index(seen.step) if seen else 0
        if done_steps + 1 < len(STEPS) and self._chance.random() < SENSIBLE:
            return STEPS[done_steps + 1]
        return self._chance.choice(STEPS)

    def _child(self, seen: "Seen | None") -> TopicId:
        mine = self._world.checker.split_off(seen.id) if seen else []
        if mine and self._chance.random() < SENSIBLE:
            return self._chance.choice(mine)
        return self._chance.choice((*self._world.checker.order, NOWHERE))

    def _remark(self, seen: "Seen | None", words: str) -> api.RemarkForm:
        kind = self._chance.choice(get_args(PersonRemark))
        rating = self._chance.choice(get_args(Rating)) if kind == "rate" else None
        entry = NOWHERE if self._chance.random() < 0.05 else None
        if seen is not None and self._chance.random() < 0.3:
            entry = seen.id
        return api.RemarkForm(kind=kind, text=words, rating=rating, entry=entry)


def check_repeat(first: Done, second: Done | str) -> None:
    """The same request under the same key gets the same bytes, for ever (R14)."""
    if isinstance(second, str) or second.answer.body != first.answer.body:
        raise Violation(f"R14: a repeated {first.order.name} got another answer: {second}")
