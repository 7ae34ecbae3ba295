"""`liandong report MONTH FILE`: the sheet of a month, for a drawer, a meeting or a letter."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli.options import Data, Database
from node.cli.terminal import node, say

SUFFIXES = (".pdf", ".xlsx")


def register(app: typer.Typer) -> None:
    app.command("report")(report)


def report(
    month: Annotated[str, typer.Argument(help="月份，如 2026-10 / Month, like 2026-10.")],
    file: Annotated[Path, typer.Argument(dir_okay=False, help="写到哪里，.pdf 或 .xlsx / Where to, .pdf or .xlsx.")],
    data: Data = None,
    database: Database = None,
) -> None:
    """月报：各下级、各地、六步、结果、上报情况。The sheet of a month: branches, places, steps, outcomes, who reported.

    \b
    例 / Examples:
      liandong report 2026-10 十月.pdf     带图，可打印 / with pictures, to print
      liandong report 2026-10 十月.xlsx    表格，可再计算 / a workbook, to go on counting with
    数的是这个月提出的议题，与页面“全局”一致；节点运行时也可用。
    Counts the topics raised in that month, as the page Overview does; also while the node runs.
    PDF 需要本机有中文字体 / The PDF needs a Chinese font (Debian, Ubuntu: apt install fonts-wqy-microhei).
    """
    if file.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter("以 .pdf 或 .xlsx 结尾 / must end in .pdf or .xlsx", param_hint="FILE")
    from node.service.monthly import monthly_sheet
    from node.service.monthly_pdf import monthly_pdf
    from schemas.aggregate import NodesQuery

    period = NodesQuery(period=month).period
    make = monthly_pdf if file.suffix.lower() == ".pdf" else monthly_sheet
    file.write_bytes(make(node(data, database), period))
    say(f"已写入 / Written: {file}")
