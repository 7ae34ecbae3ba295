"""Commands about what is stored: topics from a table, the exchange as a file, the check of it all."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli.options import Data, Database, Json
from node.cli.terminal import OPERATOR, as_data, node, note, print_json, progress, say

ERRORS_SHOWN_MAX = 50

bundle_app = typer.Typer(help="用文件交换 / The exchange as a file, for nodes without a line.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.command("import")(import_file)
    app.command("verify")(verify)
    app.add_typer(bundle_app, name="bundle")


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV 或 XLSX / CSV or XLSX.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不写入 / Check only.")] = False,
    map_: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=列名", help="指定列 / Name a column; repeatable.")
    ] = None,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """从表格导入议题（UTF-8、GB18030）。Import topics from a table; twice imports nothing twice.

    \b
    例 / Examples:
      liandong import 留言.xlsx --dry-run
      liandong import 留言.csv --map title=留言主题 --map text=留言详情
    有错误的行会列出，其余照常导入；有错误时退出码为 1。
    Rows with errors are listed and the others imported; exit 1 if there were any.
    """
    from node.service.intake import import_topics

    mapping = _mapping(map_)
    ctx = node(data, database)
    with file.open("rb") as content, progress("导入 / importing") as tell:
        view = import_topics(ctx, OPERATOR, content, file.name, mapping, dry_run, tell)
    if json:
        print_json(as_data(view))
    else:
        for error in view.errors[:ERRORS_SHOWN_MAX]:
            note(f"第 {error.row} 行 row {error.row}, {error.field}: {error.message}")
        if len(view.errors) > ERRORS_SHOWN_MAX:
            note(f"…… {len(view.errors) - ERRORS_SHOWN_MAX} 个未列出 / more not shown (--json)")
        what = "将导入 would create" if dry_run else "已导入 created"
        say(f"{what} {view.created}，重复跳过 skipped {view.skipped}，错误 errors {len(view.errors)}")
    raise typer.Exit(1 if view.errors else 0)


def verify(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="由签名条目重建其余各表 / Make the derived tables again.")
    ] = False,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """核验全部签名、链条和派生数据，指出第一处错误；节点运行时也可用。Verify everything stored, also while it runs.

    没有问题退出码 0，有问题 1 / Exit 0 if all is well, 1 if not.
    """
    from dataclasses import asdict

    from node.service.verify import verify as check

    ctx = node(data, database)
    with progress("核验 / verifying") as tell:
        report = check(ctx, rebuild, tell)
    if json:
        print_json(asdict(report))
    else:
        for problem in report.problems:
            say(problem)
        verdict = "完好 / all is well" if report.ok else "有问题 / NOT well"
        say(f"{verdict}: {report.topics} 件议题 topics, {report.statements} 条签名 statements")
    raise typer.Exit(0 if report.ok else 1)


@bundle_app.command("export")
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="写到这个文件 / Where it goes.")],
    to: Annotated[str, typer.Option("--to", metavar="CODE", help="给哪个相邻节点 / The neighbour it is for.")],
    plain: Annotated[bool, typer.Option("--plain", help="不加密 / Not encrypted to the receiver.")] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """把待发内容写成文件，加密给对方。Write what waits for a neighbour to a file, encrypted to it.

    \b
    例 / Example:
      liandong bundle export --to 620100 给市里.bundle
    """
    from node.service.bundle import export_bundle

    content = export_bundle(node(data, database), to, plain)
    file.write_bytes(content)
    say(f"已写出 / Written: {file} ({len(content)} bytes)")


@bundle_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="对方写的文件 / The neighbour's file.")],
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """读入相邻节点的文件；顺序和重复都无妨。Take in a neighbour's file; order and repetition do no harm."""
    from dataclasses import asdict

    from node.service.bundle import import_bundle

    view = asdict(import_bundle(node(data, database), file.read_bytes()))
    if json:
        print_json(view)
    else:
        say("已读入 / Taken in: " + ", ".join(f"{name} {value}" for name, value in view.items()))


def _mapping(given: list[str] | None) -> dict[str, str] | None:
    if not given:
        return None
    pairs = [item.partition("=") for item in given]
    for field, equals, column in pairs:
        if not (field and equals and column):
            raise typer.BadParameter("写成 FIELD=列名 / must be FIELD=COLUMN", param_hint="--map")
    return {field: column for field, _, column in pairs}
