"""`liandong doctor`: what is wrong with this node and what to do about it, in words an office can act on.

Looks and never mends. Every check says something, good or bad, so that silence never passes for health.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from node.clock import parse_instant
from node.context import Context
from node.service import guard, healing, life, log
from node.service.backup import last_backup
from node.service.identity import BOX_KEY, SIGNING_KEY
from node.service.links import state
from node.service.remedy import Remedy, remedies
from node.service.roster import current
from node.store import health, office, schema
from node.store import links as link_rows
from node.store import log_tables as lt
from node.store import tables as t
from node.store.engine import reading
from node.store.links import Link
from sync.errors import SyncError
from sync.sealing import parse
from sync.strict import strict_json

Level = Literal["ok", "warn", "bad"]

DISK_LOW_BYTES = 1024**3
CONTACT_LOST = timedelta(days=1)
UNWITNESSED_OLD = timedelta(days=1)
BACKLOG_OLD = timedelta(days=1)
DEFERRED_OLD = timedelta(hours=1)
INVITATION_OLD = timedelta(days=7)
BACKUP_OLD = timedelta(days=7)
CLOCK_SKEW_S = 60
CLOCK_BACK = timedelta(minutes=5)
CLOCK_FLOOR = datetime(2025, 1, 1, tzinfo=UTC)
"""No node is older than the program."""
STATEMENTS_COMPARED = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and, unless `level` is ok, what to do; in both languages."""

    level: Level
    what_zh: str
    what_en: str
    do_zh: str = ""
    do_en: str = ""


def doctor(ctx: Context) -> list[Finding]:
    """All findings, in the order in which they should be dealt with: what the rest stands on comes first."""
    found = [*_disk(ctx), *_keys(ctx)]
    try:
        with reading(ctx.engine) as conn:
            checks = (
                _database,
                _guard,
                _backup,
                _enrolment,
                _clock,
                _links,
                _parked,
                _alarms,
                _log,
                _lists,
                _users,
                _invitations,
            )
            found += [finding for check in checks for finding in check(ctx, conn)]
        found += _jobs(ctx)
    except DBAPIError as error:
        kind = type(error.orig).__name__
        found.append(
            Finding(
                "bad",
                f"数据库不能用（{kind}）",
                f"The database cannot be used ({kind})",
                "看数据库是否在运行、磁盘是否完好；必要时用备份恢复",
                "See whether the database runs and its disk is sound; restore a backup if it must be",
            )
        )
    return found


def _disk(ctx: Context) -> Iterator[Finding]:
    free = shutil.disk_usage(ctx.settings.data).free
    shown = f"{free // 1024**2} MiB"
    level: Level = "ok" if free >= DISK_LOW_BYTES else "warn"
    if free < ctx.settings.disk_reserve_bytes:
        level = "bad"
    yield Finding(
        level,
        f"数据盘剩余 {shown}",
        f"{shown} free where the data is",
        "清理或扩大磁盘；空间不足时节点不再收新的工作",
        "Free or add space; a node without it takes no new work",
    )


def _keys(ctx: Context) -> Iterator[Finding]:
    open_to_others = [name for name in (SIGNING_KEY, BOX_KEY) if (ctx.settings.data / name).stat().st_mode & 0o077]
    if open_to_others:
        names = ", ".join(open_to_others)
        yield Finding(
            "bad",
            f"密钥文件别人也能读：{names}",
            f"Others can read the key files: {names}",
            f"chmod 600；若怀疑已泄露，报上级处理。目录 {ctx.settings.data}",
            f"chmod 600 in {ctx.settings.data}; tell the parent node if they may have been copied",
        )
    else:
        kid = ctx.identity.signer.kid
        yield Finding("ok", f"密钥 {kid}，文件只有本账号能读", f"Key {kid}; its files are this account's alone")


def _database(ctx: Context, conn: Connection) -> Iterator[Finding]:
    wrong = health.integrity(conn)
    if wrong is not None:
        yield Finding(
            "bad",
            f"数据库有损坏或设置不安全：{wrong}",
            f"The database is damaged or set up unsafely: {wrong}",
            "停止节点，备份数据目录，再从最近的备份恢复；若是设置问题，改回来",
            "Stop the node, copy its folder away, restore the last backup; or put the setting right",
        )
    version = schema.current(ctx.engine)
    if version != schema.HEAD:
        yield Finding(
            "bad",
            f"表结构版本 {version}，程序需要 {schema.HEAD}",
            f"The tables are of version {version}, the program needs {schema.HEAD}",
            "启动一次对应版本的程序",
            "Start the program of the right version once",
        )
    if wrong is None and version == schema.HEAD:
        yield Finding("ok", f"数据库完好，表结构 {version}", f"The database is sound, tables of version {version}")


def _guard(ctx: Context, conn: Connection) -> Iterator[Finding]:
    """The file outside database and backups that tells a restore from a crash."""
    if guard.fits(conn, guard.read(ctx.settings.data)):
        yield Finding("ok", "守护文件与数据库相符", "The guard fits the database")
        return
    yield Finding(
        "bad",
        "守护文件缺失或与数据库不符：数据库可能是恢复出来的旧副本",
        "The guard is missing or does not fit: the database may be an older copy",
        "重新启动节点：它会自己转入恢复状态，与上下级核对后再继续",
        "Start the node again: it heals by itself, compares with its neighbours and then goes on",
    )


def _enrolment(ctx: Context, conn: Connection) -> Iterator[Finding]:
    mine = life.read(conn)
    if mine.healing_since is not None and (waits := healing.line(ctx)):
        yield Finding(
            "bad",
            f"{waits[0]}（原因：{mine.healing_why}）",
            f"{waits[1]} (because: {mine.healing_why})",
            "接通与这些节点的联络；确实联系不上的，管理员可书面免除：liandong waive 代码 --reason 理由",
            "See that they can be reached; one that never will be can be waived: liandong waive CODE --reason TEXT",
        )
        return
    if not mine.live:
        yield Finding(
            "bad",
            "本节点还没有加入组织树，只能查看",
            "This node is not enrolled yet and is read-only",
            "向上级要邀请码，运行 liandong join；最上级用 init --root",
            "Ask the parent for an invitation and run `liandong join`; the uppermost node uses `init --root`",
        )
        return
    parent = conn.execute(select(t.node.c.parent)).scalar() or "-"
    number = mine.inc.number
    yield Finding("ok", f"已入网：上级 {parent}，第 {number} 世", f"Enrolled: parent {parent}, incarnation {number}")


def _clock(ctx: Context, conn: Connection) -> Iterator[Finding]:
    now = ctx.clock.now()
    s = t.statements.c
    last = conn.execute(select(func.max(s.at).label("at"))).scalar()
    if now < CLOCK_FLOOR or (last is not None and now < last - CLOCK_BACK):
        yield Finding(
            "bad",
            f"本机时间 {now:%Y-%m-%d %H:%M} 不对：比已存的记录还早",
            f"This machine's time {now:%Y-%m-%d %H:%M} UTC is wrong: earlier than what is stored",
            "校时（NTP）；顺序和效力不靠时钟，但期限和显示靠它",
            "Set the clock (NTP); nothing is decided by it, but deadlines and dates are shown by it",
        )
        return
    query = select(s.raw, s.at).where(s.source.is_not(None)).order_by(s.pos.desc()).limit(STATEMENTS_COMPARED)
    ahead = max((_ahead_s(raw, at) for raw, at in conn.execute(query)), default=0.0)
    if ahead > CLOCK_SKEW_S:
        yield Finding(
            "warn",
            f"收到的条目比本机时间早写了 {ahead:.0f} 秒：两边时钟不一致",
            f"Entries arrived {ahead:.0f} s before they were written: the clocks of the two nodes differ",
            "两边都校时（NTP）",
            "Set both clocks (NTP)",
        )
    else:
        yield Finding("ok", "时钟正常", "The clock is plausible")


def _ahead_s(raw: bytes, stored: datetime) -> float:
    """How long after its arrival here a statement says it was written."""
    try:
        return (parse_instant(strict_json(parse(raw).payload)["at"]) - stored).total_seconds()
    except (SyncError, KeyError, ValueError, TypeError):
        return 0.0


def _links(ctx: Context, conn: Connection) -> Iterator[Finding]:
    for link in link_rows.load_all(conn):
        yield _link(ctx, link, link_rows.oldest_unacked(conn, link))


_STOPPED = {
    "hash-mismatch": (
        "两边记录不一致：有一边放回过旧文件夹，或有两份在运行。在那一边运行 liandong heal --reason 理由；是对方的，"
        "它恢复之后在这里运行 liandong lift {peer} --reason 理由",
        "The two sides know different streams: one put an old folder back, or ran twice. On that one: "
        "liandong heal --reason TEXT. Where it is the other, once that has healed, here: "
        "liandong lift {peer} --reason TEXT",
    ),
    "clone": (
        "{peer} 有两份在运行。请它停掉错的那份，在对的那份上运行 liandong heal；然后在这里运行 "
        "liandong lift {peer} --reason 理由",
        "Two copies of {peer} are running. Have the wrong one stopped, and `liandong heal` run on the right one; then "
        "here: liandong lift {peer} --reason TEXT",
    ),
}
"""Why a link stopped, and what to do."""
_STOPPED_ELSE = (
    "弄清对方为什么这样说（liandong verify、双方是否恢复过备份），然后 liandong lift {peer} --reason 理由",
    "Find out why the peer says so (`liandong verify`; has one side restored a backup?), then "
    "liandong lift {peer} --reason TEXT",
)


def _link(ctx: Context, link: Link, oldest: datetime | None) -> Finding:
    name = f"{link.peer}（{'上级' if link.relation == 'parent' else '下级'}）"
    english = f"{link.peer} ({link.relation})"
    now, heard = ctx.clock.now(), link.last_contact_at
    backlog = link.sent_seq - link.acked_seq
    if link.stopped is not None:
        return Finding(
            "bad",
            f"与 {name} 的联络已停：{link.stopped}",
            f"The link to {english} stands still: {link.stopped}",
            *(text.format(peer=link.peer) for text in _STOPPED.get(link.stopped, _STOPPED_ELSE)),
        )
    if heard is None or now - heard > CONTACT_LOST:
        since = f"{heard:%Y-%m-%d %H:%M}" if heard else None
        return Finding(
            "bad" if backlog and oldest is not None and now - oldest > BACKLOG_OLD else "warn",
            f"{name} {'自 ' + since + ' 起没有联络' if since else '从未联络'}，待发 {backlog}",
            f"No contact with {english} {'since ' + since + ' UTC' if since else 'ever'}, {backlog} to send",
            f"看网络和对方（{link.url}）是否在运行；没有网络就用 liandong bundle 交换文件",
            f"See whether line and peer ({link.url}) work; without a line exchange files with `liandong bundle`",
        )
    if oldest is not None and now - oldest > BACKLOG_OLD:
        return Finding(
            "warn",
            f"发给 {name} 的 {backlog} 条超过一天没有被收下",
            f"{backlog} statements for {english} have waited more than a day",
            "看联络板上的失败原因",
            "See the failures on the link board",
        )
    up = state(ctx, link) == "up"
    return Finding(
        "ok" if up else "warn",
        f"{name} {'联络正常' if up else '暂时断开'}，待发 {backlog}",
        f"{english} is {'up' if up else 'down for now'}, {backlog} to send",
        "稍等，会自动重试；久不恢复再查网络",
        "Wait, it is tried again by itself; look at the line if that lasts",
    )


def _parked(ctx: Context, conn: Connection) -> Iterator[Finding]:
    p = t.parked.c
    held = select(p.peer, p.code, func.count().label("n")).where(p.state == "held").group_by(p.peer, p.code)
    for row in conn.execute(held.order_by(p.peer, p.code)):
        yield Finding(
            "warn",
            f"来自 {row.peer} 的 {row.n} 条被搁置：{row.code}",
            f"{row.n} statements from {row.peer} are held: {row.code}",
            "unknown-kind 要升级本程序；其他情况请对方说明，有关议题在等",
            "For unknown-kind upgrade this program; else ask the peer, for their topics wait",
        )
    old = p.at < ctx.clock.now() - DEFERRED_OLD
    waiting = select(p.peer, func.count().label("n")).where(p.state.in_(("deferred", "ahead")), old).group_by(p.peer)
    for row in conn.execute(waiting.order_by(p.peer)):
        yield Finding(
            "warn",
            f"来自 {row.peer} 的 {row.n} 条还缺前面的条目",
            f"{row.n} statements from {row.peer} wait for others before them",
            "等联络补齐；用文件交换的，请对方再给一份",
            "Wait for the links; where files are exchanged, ask for another one",
        )


_KEY_UNKNOWN = (
    "{child} 现在的密钥不是所有节点都知道：本节点的登记写了两份，不一样；它若要恢复，会一直等",
    "Not everybody knows the present key of {child}, as this node's registry was written twice, otherwise; "
    "should it heal, it waits",
)
_CHILD_UNKNOWN = (
    "{child} 是不是本节点的下级，各节点说法不一：本节点的登记写了两份，不一样",
    "Not everybody knows {child} as a child of this node, as its registry was written twice, otherwise",
)
_REMEDIES: dict[Remedy, tuple[tuple[str, str], tuple[str, str]]] = {
    Remedy.RENEW: (
        _KEY_UNKNOWN,
        (
            "让它换密钥：liandong invite {child} … --renew 原因",
            "Give it another key: liandong invite {child} … --renew REASON",
        ),
    ),
    Remedy.KEY: (
        (
            "本节点的登记写了两份，另一份给了 {child} 另一把密钥；它若用那把密钥，本节点不认得",
            "This node's registry was written twice, and the other branch gives {child} another key; "
            "what it signs with that is not known here",
        ),
        (
            "它用的就是那把：liandong ratify {child}；否则让它换密钥：liandong invite {child} … --renew 原因",
            "If that is the key it has: liandong ratify {child}; otherwise give it another: "
            "liandong invite {child} … --renew REASON",
        ),
    ),
    Remedy.RATIFY: (
        _CHILD_UNKNOWN,
        (
            "确是本单位接纳的：liandong ratify {child}；不是的，什么也不要做，并查明谁用过本节点的密钥",
            "If this office did enrol it: liandong ratify {child}; if not, do nothing for it, and find out who has had "
            "this node's key",
        ),
    ),
    Remedy.LIVE: (
        (
            "{child} 现在这一世不是所有节点都知道：本节点的登记写了两份，不一样",
            "Not everybody knows the present incarnation of {child}, as this node's registry was written twice, "
            "otherwise",
        ),
        (
            "请 {child} 在它那里运行 liandong heal --reason 原因",
            "Ask {child} to run there: liandong heal --reason REASON",
        ),
    ),
    Remedy.HEAL: (
        _KEY_UNKNOWN,
        (
            "先结束本节点的这一世：liandong heal --reason 原因；恢复之后再体检一次，暂勿给它换密钥",
            "First end this node's incarnation: liandong heal --reason REASON; then run doctor again. "
            "Do not renew {child} before that",
        ),
    ),
    Remedy.NONE: (
        _CHILD_UNKNOWN,
        (
            "不要给它换密钥：有的节点不认得它，看不懂换密钥，也看不到本节点之后的登记；它可照常工作",
            "Do not renew it: some nodes do not know it at all, could not read that it has another key, nor what this "
            "node registers after that. It works on as it is",
        ),
    ),
}


def _alarms(ctx: Context, conn: Connection) -> Iterator[Finding]:
    e = t.equivocations.c
    for author, n in conn.execute(select(e.author, func.count()).group_by(e.author).order_by(e.author)):
        yield Finding(
            "bad",
            f"{author} 在同一位置签了两份不同的条目（{n} 处），它持有的议题已冻结",
            f"{author} signed two different entries at one position ({n} times); what it holds is frozen",
            "联系该节点和上级：可能是恢复旧备份、克隆运行，或密钥被盗",
            "Tell that node and its parent: a restored backup, a clone running twice, or a stolen key",
        )
    mine = life.read(conn)
    for child, wanted in remedies(conn, current(ctx, conn), ctx.identity.code, mine.inc).items():
        what, then = _REMEDIES[wanted]
        yield Finding("warn", *(text.format(child=child) for text in (*what, *then)))
    unusable = select(func.count()).where(t.audit.c.action == "list-unusable")
    if n := conn.execute(unusable).scalar_one():
        yield Finding(
            "warn",
            f"上级下发的代码表有 {n} 份不能用",
            f"{n} published lists from above cannot be used here",
            "看审计记录，请上级改正后重新下发",
            "See the audit and ask the node above to publish a corrected one",
        )


def _log(ctx: Context, conn: Connection) -> Iterator[Finding]:
    """Logs that contradict themselves, and whether anybody signs for this node's own."""
    c = lt.log_conflicts.c
    for node, n in conn.execute(select(c.node, func.count()).group_by(c.node).order_by(c.node)):
        yield Finding(
            "bad",
            f"{node} 为自己的日志签了两个互相矛盾的版本（{n} 处），两份都已留作证据",
            f"{node} signed two versions of its log that contradict each other ({n} times); both are kept as proof",
            "联系该节点和上级：可能是恢复旧备份、克隆运行，或密钥被盗",
            "Tell that node and its parent: a restored backup, a clone running twice, or a stolen key",
        )
    shown = log.view(ctx, conn)
    if shown is None:
        return
    of = lt.checkpoints.c
    mine = of.note.startswith(f"{shown.log}\n", autoescape=True)
    since = conn.execute(select(func.min(of.at)).where(mine, of.size > shown.witnessed)).scalar()
    late = since is not None and ctx.clock.now() - since > UNWITNESSED_OLD
    yield Finding(
        "warn" if late else "ok",
        f"日志 {shown.size} 条，其中 {shown.witnessed} 条已有上级见证",
        f"{shown.size} entries in the log, {shown.witnessed} of them under a witness's signature",
        "与上级联系后会自动补上；上级程序较旧时请先升级上级" if late else "",
        "Comes once the parent is reached; if that runs an older version, upgrade it" if late else "",
    )


def _backup(ctx: Context, _conn: Connection) -> Iterator[Finding]:
    last = last_backup(ctx.settings.data)
    if last is None or ctx.clock.now() - last > BACKUP_OLD:
        shown = f"{last:%Y-%m-%d}" if last else "-"
        yield Finding(
            "warn",
            f"最近一次备份：{shown}",
            f"The last backup made here: {shown}",
            "liandong backup 文件，放到别的机器上；每夜自动备份见 docs/install.zh-CN.md",
            "liandong backup FILE, on another machine; docs/install.md has the nightly one",
        )
    else:
        yield Finding("ok", f"最近备份 {last:%Y-%m-%d %H:%M} UTC", f"Backed up {last:%Y-%m-%d %H:%M} UTC")


def _lists(ctx: Context, conn: Connection) -> Iterator[Finding]:
    c = t.catalogues.c
    query = select(c.list, c.author, c.version).order_by(c.list, c.rank, c.version)
    in_force = {row.list: f"{row.author} v{row.version}" for row in conn.execute(query)}
    shown = ", ".join(f"{name} {in_force.get(name, '-')}" for name in ("divisions", "categories", "powers", "calendar"))
    yield Finding("ok", f"代码表（- 为内置）：{shown}", f"Lists in force (- is the built-in one): {shown}")


def _users(ctx: Context, conn: Connection) -> Iterator[Finding]:
    rows = conn.execute(select(office.users.c.roles).where(office.users.c.active)).scalars().all()
    missing = [role for role in ("clerk", "admin") if not any(role in roles for roles in rows)]
    if missing:
        names = ", ".join(missing)
        yield Finding(
            "bad" if "clerk" in missing else "warn",
            f"没有可用的账号：{names}",
            f"No active account with the role: {names}",
            f"liandong user add 姓名 --role {missing[0]}",
            f"liandong user add NAME --role {missing[0]}",
        )
    else:
        yield Finding("ok", f"{len(rows)} 个可用账号", f"{len(rows)} active accounts")


def _invitations(ctx: Context, conn: Connection) -> Iterator[Finding]:
    i = t.invitations.c
    old = select(i.code).where(i.used_by.is_(None), i.at < ctx.clock.now() - INVITATION_OLD).order_by(i.code)
    codes = list(dict.fromkeys(conn.execute(old).scalars()))
    if codes:
        shown = ", ".join(codes)
        yield Finding(
            "warn",
            f"邀请超过七天没有使用：{shown}",
            f"Invitations not used for more than seven days: {shown}",
            "问对方是否还需要；邀请码泄露就有人能冒用",
            "Ask whether they are still needed; whoever finds such a token can use it",
        )


def _jobs(ctx: Context) -> Iterator[Finding]:
    if health.jobs_running(ctx.engine, ctx.settings.data):
        yield Finding("ok", "后台任务在运行", "The jobs are running")
        return
    yield Finding(
        "warn",
        "后台任务没有运行：不联络上级，也不处理到期",
        "The jobs are not running: no contact with the parent, no deadlines",
        "liandong serve（或 serve --no-jobs 之外另开 liandong work）",
        "liandong serve (or `liandong work` beside `serve --no-jobs`)",
    )
