"""Commands that stay: the node as a server, and its jobs alone; and the demonstration."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli.options import Data, Database
from node.cli.terminal import note, settings


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)
    app.command("work")(work)
    app.command("demo")(demo)


def serve(
    host: Annotated[str | None, typer.Option(help="缺省为节点地址里的 / Default: the node URL's.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="缺省为节点地址里的 / Default: the node URL's.")
    ] = None,
    no_jobs: Annotated[
        bool, typer.Option("--no-jobs", help="只答请求；另起 liandong work / Only answer requests; run `work` beside.")
    ] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """运行节点。Run the node with its jobs, until SIGTERM or Ctrl-C.

    \b
    一般办公室 / One office:      liandong serve
    反向代理之后 / Behind a proxy: liandong serve --host 127.0.0.1 --port 8000
    大节点 / A big node:          liandong serve --no-jobs （可多个 several） + liandong work （一个 one）
    随时可断电 / It may be killed at any moment; what was answered is on the disk.
    """
    from node.cli.server import serve as run

    run(settings(data, database), host, port, jobs=not no_jobs, say=note)


def work(data: Data = None, database: Database = None) -> None:
    """只运行后台任务（与 serve --no-jobs 配合）。Run the jobs alone, beside `serve --no-jobs`."""
    from node.cli.server import work as run

    run(settings(data, database), say=note)


def demo(
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            file_okay=False,
            help="数据留在这个文件夹，节点继续运行 / Leave nodes running, data and demo.json here.",
        ),
    ] = None,
    walk: Annotated[
        Path | None,
        typer.Option(
            "--walk",
            file_okay=False,
            exists=True,
            help="在保留的演示上再走一遍，边走边看 / Walk the story again at nodes that were kept.",
        ),
    ] = None,
    topics: Annotated[
        int | None, typer.Option(min=1, max=1500, help="保留的演示先铺多少件议题 / How many topics to keep, about.")
    ] = None,
) -> None:
    """演示：省、市、两县四个节点在本机办一件议题。Province, city and two counties at work on this machine.

    \b
    liandong demo                 看完即清除 / leaves nothing behind
    liandong demo --keep DIR      节点继续运行，有各角色账号和数百件议题 / stays up, with people and hundreds of topics
    liandong demo --walk DIR      再走一遍，在浏览器里跟着看 / the story again, to follow in browsers
    """
    from node import demo as shown

    if walk is not None and (keep is not None or topics is not None):
        raise typer.BadParameter("--walk 单独使用 / stands alone", param_hint="--walk")
    raise typer.Exit(shown.walk(walk) if walk is not None else shown.run(keep, topics or shown.TOPICS))
