"""What is done while a fault strikes: every way in which a node changes what it has stored.

An act runs in a process of its own and says what it tells its clients and neighbours, in a file beside the data folder
and to whoever watches: the record of what it must not lose. Doing it again afterwards is always allowed, tells the same
and does nothing twice.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlalchemy import event

from node.api.problems import describe
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.domain.policy import ROLES
from node.domain.refusals import Invalid, NodeExists
from node.service import bundle, decide, delegate, escalate, exchange, finish, giveback, joining, remark, split, users
from node.service import open as opening
from node.service import work as working
from node.service.commit import Batch
from node.service.create import Plan, init_node
from node.service.intake import import_topics
from node.service.perform import Actor, Command, perform
from node.service.receive import receive_request
from node.service.retry import retry_parked
from node.service.verify import verify
from schemas import api
from schemas.ids import Tier
from sync.errors import BadDocument, SyncError
from sync.transport import Reply
from tests.fault.scene import CITY, COUNTY, NEWCOMER, Notes, load_node
from tests.nodes import lane
from tests.store.tree import OTHER

RECORD = "acks.log"
CALLS_MAX = 40
TRIES = 3
"""An error strikes once; some acts have two ways to meet its consequence."""
MODES = {"commit": "", "checkpoint": "wal_autocheckpoint=1", "careless": "synchronous=OFF"}
"""How the database is run: as always; with a checkpoint after every commit, which otherwise comes every thousand pages;
without waiting for the disk, as a negative control."""
CLERK = Actor(1, "clerk", ROLES)
VERBS: dict[str, tuple[str, Any, Any]] = {
    "note": (COUNTY, working.note, api.NoteForm(text="记一笔")),
    "step": (COUNTY, working.step, api.StepForm(step="decide", text="本级办理", override_reason="特")),
    "amend": (COUNTY, working.amend, api.AmendForm(title="改名", reason="更正")),
    "escalate": (COUNTY, escalate.escalate, api.EscalateForm(reason="跨县", tried="已协调", override_reason="特")),
    "recall": (COUNTY, decide.recall, api.RecallForm(reason="交错了")),
    "close": (COUNTY, finish.close, api.CloseForm(text="已办结")),
    "reopen": (COUNTY, finish.reopen, api.ReasonForm(reason="又坏了")),
    "remark": (CITY, remark.remark, api.RemarkForm(kind="comment", text="已阅")),
    "accept": (CITY, decide.accept, api.AcceptForm()),
    "decline": (CITY, decide.decline, api.DeclineForm(code="not_our_power", reason="无此权限")),
    "give_back": (CITY, giveback.give_back, api.ReasonForm(reason="请补充")),
    "delegate": (CITY, delegate.delegate, api.DelegateForm(to=COUNTY, instruction="请办", override_reason="特")),
    "split": (
        CITY,
        split.split,
        api.SplitForm(
            parts=[
                api.SplitPart(to=COUNTY, role="lead", title="城关段", instruction="修"),
                api.SplitPart(to=OTHER, role="assist", title="七里河段", instruction="配合"),
            ]
        ),
    ),
}
TOPIC_OF = {
    **dict.fromkeys(("note", "step", "amend", "escalate"), "active"),
    "close": "ended",
    "reopen": "closed",
    "delegate": "wide",
    "split": "wide",
    "remark": "give_back",
}


@dataclass
class Place:
    """Where an act takes place: the data folders, the template they come from, and the way to whoever watches."""

    folder: Path
    template: Path
    pipe: Connection | None = None
    said: dict[str, str] = field(default_factory=dict)
    """What clients were told."""

    @cached_property
    def notes(self) -> Notes:
        found: Notes = json.loads((self.template / "notes.json").read_text())
        return found

    def tell(self, name: str, text: str) -> None:
        """A client of this name is answered."""
        self.said[name] = text
        self._say("told", (name, text))

    def acknowledge(self, document: bytes) -> None:
        """A document is about to leave, with its acknowledgement."""
        self._say("acked", acked(document))

    def finish(self) -> None:
        self._say("done", None)

    def ask(self, kind: str, what: Any) -> Any:
        """Something of whoever plays the neighbour."""
        assert self.pipe is not None
        self.pipe.send((kind, what))
        return self.pipe.recv()[1]

    def _say(self, kind: str, what: Any) -> None:
        if self.pipe is not None:
            with (self.folder / RECORD).open("ab", 0) as record:
                record.write(json.dumps([kind, what]).encode() + b"\n")
            self.pipe.send((kind, what))


Do = Callable[[Context, Place], None]


@dataclass(frozen=True)
class Act:
    """`node` is where it happens; `with_` are the neighbours it talks with, which no fault strikes."""

    name: str
    node: str
    do: Do
    with_: tuple[str, ...] = ()
    made: bool = True
    """Whether the node is there before."""


def strike(pipe: Connection, folder: Path, template: Path, act: str, mode: str) -> None:
    """The job of the process that a fault will strike. An error must be a typed one, and doing it again must help."""
    chosen, place = find(act), Place(folder, template, pipe)
    pipe.send(("ready", None))
    pipe.recv()
    for _ in range(TRIES):
        try:
            ctx = load_node(folder, chosen.node) if chosen.made else None
            if ctx is not None:
                set_mode(ctx, mode)
            chosen.do(ctx, place)  # type: ignore[arg-type] - `init` makes its own
            place.finish()
            return
        except Exception as error:
            status = describe(error)[0].status
            pipe.send(("refused", (status, f"{type(error).__name__}: {error}")))
            if status not in (503, 507):
                return


def set_mode(ctx: Context, mode: str) -> None:
    def set_up(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA {MODES[mode]}")

    if MODES[mode]:
        event.listen(ctx.engine, "connect", set_up)
        ctx.engine.dispose()


def acked(document: bytes) -> int:
    """How much of its receiver's stream a document acknowledges."""
    seq: int = json.loads(document.split(b"\n", 1)[0])["ack"]["seq"]
    return seq


# ---- commands ----------------------------------------------------------------------------------------------------


def _perform(ctx: Context, place: Place, name: str, verb: str, act: Callable[[Batch], Any]) -> None:
    key = hashlib.sha256(name.encode()).hexdigest()
    place.tell(name, perform(ctx, Command(CLERK, verb, key, key), act).body.decode())


def _command(name: str, act: Callable[[Batch, Place], Any]) -> Do:
    return lambda ctx, place: _perform(ctx, place, name, name, lambda batch: act(batch, place))


def _on_topic(name: str) -> Do:
    _, function, form = VERBS[name]

    def do(ctx: Context, place: Place) -> None:
        topic = place.notes[TOPIC_OF.get(name, name)]
        verb = "return" if name == "give_back" else name
        _perform(ctx, place, name, verb, lambda batch: function(batch, topic, form))

    return do


def _day(ctx: Context, place: Place) -> None:
    """Several commands one after the other, each answered before the next."""
    for name in ("note", "amend", "step", "escalate", "recall", "close"):
        _on_topic(name)(ctx, place)


def _boast(ctx: Context, place: Place) -> None:
    """Says that it is done before it is."""
    place.finish()
    _on_topic("note")(ctx, place)


def _open(batch: Batch, _place: Place) -> Any:
    submitter = api.Submitter(name="甲某", phone="0931-0000000")
    return opening.open_topic(
        batch, api.OpenForm(title="新议题", text="井盖缺失。" * 100, areas=[COUNTY], submitter=submitter)
    )


class _Token(BaseModel):
    token: str


def _invite(batch: Batch, _place: Place) -> BaseModel:
    return _Token(token=joining.invite(batch, "620105", Tier.COUNTY, "安宁区政协"))


def _add_user(ctx: Context, _place: Place) -> None:
    with suppress(Invalid):  # there already
        users.add_user(ctx, "新来的", "correct horse battery", ["clerk"])


def _import(ctx: Context, place: Place) -> None:
    content = (place.template / "sheet.csv").read_bytes()
    import_topics(ctx, "clerk", BytesIO(content), "sheet.csv")


def _rebuild(ctx: Context, _place: Place) -> None:
    verify(ctx, rebuild=True)


# ---- the tree ----------------------------------------------------------------------------------------------------


def _init(_ctx: Context, place: Place) -> None:
    plan = Plan("630000", "青海省政协", Tier.PROVINCE, "http://127.0.0.1:16300", root=True)
    with suppress(NodeExists):
        init_node(Settings(data=place.folder / plan.code, disk_reserve_bytes=0), Clock(), plan)


def _join(ctx: Context, place: Place) -> None:
    """The request goes to the parent and its answer comes back; asked again, the parent gives the same answer."""
    with suppress(Invalid):  # joined already
        request = joining.join_request(ctx, place.notes["token"])
        if place.pipe is not None:
            joining.finish_join(ctx, place.notes["token"], place.ask("join", request))


def _enrol(ctx: Context, place: Place) -> None:
    child = load_node(place.folder, NEWCOMER)
    request = joining.join_request(child, place.notes["token"])
    place.tell("enrol", joining.enrol_child(ctx, request).decode())


# ---- the exchange ------------------------------------------------------------------------------------------------


class PipeWire:
    """The line from a struck child to its parent, who lives in the process that watches."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def post(self, path: str, body: bytes, media_type: str, silence_s: float) -> Reply:
        self._place.acknowledge(body)
        return Reply(*self._place.ask("post", body))

    def close(self) -> None:
        pass


def _call(ctx: Context, place: Place) -> None:
    """A child that exchanges until nothing is left to say; without a watcher there is nobody to talk to."""
    if place.pipe is None:
        return
    found = lane(ctx, None, PipeWire(place))  # type: ignore[arg-type]
    for _ in range(CALLS_MAX):
        view = exchange.call(ctx, found)
        if not (view.sent or view.received or view.backlog or exchange.can_serve(ctx, found)):
            return


def _answer(ctx: Context, place: Place) -> None:
    """A parent that answers until the watcher says that it is enough."""
    if place.pipe is None:
        return
    raw = place.ask("listening", None)
    while raw is not None:
        status, reply = answer(ctx, raw)
        place.acknowledge(reply)
        raw = place.ask("reply", (status, reply))


def answer(ctx: Context, raw: bytes) -> tuple[int, bytes]:
    """A parent's answer as its HTTP door gives it."""
    try:
        received = receive_request(ctx, raw)
        reply = exchange.reply_to(ctx, received)
    except (BadDocument, SyncError) as error:
        return 400, str(error).encode()
    return (exchange.CHALLENGED if received.challenged else 200), reply


def _bundle(name: str) -> Do:
    def do(ctx: Context, place: Place) -> None:
        bundle.import_bundle(ctx, (place.template / name).read_bytes())

    return do


def _start(ctx: Context, place: Place) -> None:
    again = load_node(place.folder, ctx.identity.code, new_start=True)
    retry_parked(again)


ACTS: dict[str, Act] = {
    act.name: act
    for act in (
        *(Act(name, VERBS[name][0], _on_topic(name)) for name in VERBS),
        Act("day", COUNTY, _day),
        Act("open", COUNTY, _command("open", _open)),
        Act("invite", CITY, _command("invite", _invite)),
        Act("add_user", COUNTY, _add_user),
        Act("import", COUNTY, _import),
        Act("rebuild", CITY, _rebuild),
        Act("init", "630000", _init, made=False),
        Act("join", NEWCOMER, _join, (CITY,)),
        Act("enrol", CITY, _enrol, (NEWCOMER,)),
        Act("call", COUNTY, _call, (CITY,)),
        Act("answer", CITY, _answer, (COUNTY,)),
        Act("bundle_up", CITY, _bundle("county.bundle"), (COUNTY,)),
        Act("bundle_down", COUNTY, _bundle("city.bundle"), (CITY,)),
        Act("start", CITY, _start),
    )
}
CONTROL = Act("boast", COUNTY, _boast)
"""A negative control: the judge must see what it does."""


def find(name: str) -> Act:
    return CONTROL if name == CONTROL.name else ACTS[name]


__all__ = ["ACTS", "Act", "Place", "answer", "find", "strike"]
