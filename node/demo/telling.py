"""The narration: one line for each thing that happens, Chinese first, a progress bar while somebody watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from node.clock import Clock

if TYPE_CHECKING:
    from node.demo.town import Town

MODES = {
    "open": "登记 open",
    "escalate": "逐级上交 escalate",
    "delegate": "指定下放 delegate",
    "report": "办结上报 report",
    "return": "退回 return",
}
WIDTH = 110
ROLE_NAMES = {
    "clerk": "经办人",
    "coordinator": "统筹员",
    "supervisor": "督办员",
    "leader": "分管领导",
    "auditor": "审计员",
    "admin": "管理员",
}
PROBLEMS_SHOWN_MAX = 20


class Teller:
    def __init__(self, beats: int) -> None:
        self.clock = Clock()
        width = None if sys.stdout.isatty() else WIDTH
        self.console = Console(highlight=False, width=width, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task = self._bar.add_task("演示 demo", total=beats)
        self._stepping = False

    def __enter__(self) -> "Teller":
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            self._bar.update(self._task, completed=self._bar.tasks[0].total)
        self._bar.stop()

    @contextmanager
    def stepwise(self) -> Iterator[None]:
        """Where somebody sits at the terminal, every beat inside waits until Enter is pressed."""
        if not (sys.stdin.isatty() and self.console.is_terminal):
            yield
            return
        self._bar.stop()
        self.console.print(
            "\n[bold]在三个浏览器窗口登录省、市、县，跟着看。回车：下一步；输入 a 再回车：一直走到底[/]\n"
            "Sign in at province, city and county in three browser windows and follow.\n"
            "Enter: the next step; a and Enter: on to the end without stopping"
        )
        self._stepping = True
        self._wait()
        try:
            yield
        finally:
            self._stepping = False

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar of its own for many small things; give it how many were done since."""
        task = self._bar.add_task(what, total=total)
        yield lambda done: self._bar.advance(task, done)
        self._bar.remove_task(task)

    def chapter(self, chinese: str, english: str) -> None:
        self.console.print(f"\n[bold]{escape(chinese)}[/]  [dim]{escape(english)}[/]")

    def beat(self, who: str, chinese: str, english: str) -> None:
        """One thing that happened at `who`."""
        self._bar.advance(self._task)
        self.console.print(f"  [cyan]{escape(who)}[/] {escape(chinese)}  [dim]{escape(english)}[/]")
        if self._stepping:
            self._wait()

    def trail(self, topic: dict[str, Any]) -> None:
        """Where a topic has been."""
        table = Table(title=f"{topic['number']} {topic['title']}\n交接轨迹 custody trail", title_justify="left")
        for head in ("#", "节点 node", "方式 how", "从 since (UTC)", "到 until", "term t", "签名条目 entry"):
            table.add_column(head)
        for n, stop in enumerate(topic["trail"], 1):
            until = stop["until"][11:23] if stop["until"] else "—"
            who = f"{stop['node']} {stop['name']}"
            how = MODES.get(stop["mode"], stop["mode"])
            table.add_row(str(n), who, how, stop["since"][11:23], until, str(stop["term"][3]), stop["entry"][:12])
        self.console.print()
        self.console.print(table)

    def logins(self, town: "Town") -> None:
        """Where the nodes are and how to get in."""
        table = Table(title="正在运行的节点 running nodes", title_justify="left")
        table.add_column("节点 node", overflow="fold")
        table.add_column("网址 address", no_wrap=True)
        table.add_column("角色 role")
        table.add_column("账号 name")
        table.add_column("口令 password", no_wrap=True)
        for place in town.places:
            for n, user in enumerate(place.users):
                where = ("", "") if n else (f"{place.code} {place.name}", place.url)
                roles = " ".join(f"{ROLE_NAMES[role]} {role}" for role in user.roles)
                table.add_row(*where, roles, user.name, user.password)
            table.add_section()
        self.console.print(table)
        for chinese, english, url in town.doors:
            self.console.print(f"{chinese} / {english}: {url}")
        self.console.print(f"详见 / details: {town.folder / 'demo.json'}")

    def farewell(self, town: "Town") -> None:
        """How to go on, and how to end it."""
        self.console.print("再走一遍，边走边看 / walk it again and watch: make demo WALK=1")
        self.console.print("停止全部节点 / stop them all: kill " + " ".join(str(p.running_pid()) for p in town.places))

    def verdict(self, wrong: list[str], seconds: float) -> None:
        for problem in wrong[:PROBLEMS_SHOWN_MAX]:
            self.console.print(f"[red]✗[/] {escape(problem)}")
        if wrong:
            self.console.print(f"[bold red]演示没有通过 / the demonstration FAILED[/] ({seconds:.1f} s)")
        else:
            self.console.print(f"[bold green]全部核对一致 / everything agrees[/] ({seconds:.1f} s)")

    def failed(self, why: str, town: "Town | None") -> None:
        self.console.print(f"[bold red]演示没有走完 / the demonstration did not finish:[/] {escape(why)}")
        if town is not None and town.places:
            pids = " ".join(str(place.running_pid()) for place in town.places)
            self.console.print(f"节点仍在运行 / the nodes still run; stop them: kill {pids}")

    def _wait(self) -> None:
        try:
            said = self.console.input("[dim]⏎ [/]")
        except EOFError:
            said = "a"
        self._stepping = said.strip().lower() != "a"
