"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="LIANDONG_DATA",
        file_okay=False,
        help="节点的数据文件夹，缺省为 ./liandong-data / The node's data folder.",
        show_default=False,
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="LIANDONG_DATABASE_URL",
        help="数据库地址，缺省为数据文件夹内的 SQLite / Database URL; SQLite inside the data folder otherwise.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="输出 JSON / Print JSON, for programs.")]


class TierName(StrEnum):
    """As schemas.ids.Tier, which costs too much to import for a help page."""

    COUNTY = "county"
    CITY = "city"
    PROVINCE = "province"


TierOption = Annotated[TierName, typer.Option("--tier", help="层级 / The node's tier.")]


class RoleName(StrEnum):
    """As node.domain.policy.ROLES."""

    CLERK = "clerk"
    COORDINATOR = "coordinator"
    SUPERVISOR = "supervisor"
    LEADER = "leader"
    AUDITOR = "auditor"
    ADMIN = "admin"
    SECURITY = "security"
