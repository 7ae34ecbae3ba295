"""The command line: parse, call one service, print. No rule lives here.

Every command takes --data and --database, exits 0 when it did what was asked, 1 when it was refused or found something
wrong, 2 when it was called wrongly, and says a refusal in one line that names the way out. Services are imported
inside the commands, so that `--help` is quick.
"""

import sys

import typer

from node.cli import files, lives, office, receipts, report, run, topic, tree, verbs

HELP = """联动 Liandong：各级政协之间议题逐级上交、指定下放的节点程序。
One office's node: consultation topics handed up and down the tiers, every step signed.

\b
开始 / First steps, at the topmost node:
  liandong init --code 620000 --name 甘肃省政协 --tier province --url http://10.1.1.2:8000 --root
  liandong user add 张三 --role clerk --role admin
  liandong serve
  liandong invite 620100 --tier city --name 兰州市政协
\b
在下级 / At a node below it:
  liandong init --code 620100 --name 兰州市政协 --tier city --url http://10.1.2.2:8000
  liandong join TOKEN
  liandong serve
\b
看一遍 / See it all work on this machine:
  liandong demo
\b
退出码 / Exit codes: 0 完成 done, 1 被拒绝或查出问题 refused or found wrong, 2 用法不对 wrong usage
"""

app = typer.Typer(
    help=HELP,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (office, tree, run, files, lives, receipts, report):
    part.register(app)
app.add_typer(topic.app, name="topic")
verbs.register(topic.app)


def main() -> None:
    """The console script `liandong`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="liandong")
    except Exception as error:
        from node.cli.failures import explain

        said = explain(error)
        if said is None:
            raise
        typer.echo(said.text, err=True)
        sys.exit(said.status)
