"""What went wrong, as the one line a person reads: in Chinese, in English, and what to do.

A refusal by the rules ends with 1, a value that can never be right with 2. Anything this table does not know is a
fault of the program and keeps its traceback.
"""

from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from node.api.problems import INTERNAL, kind_of
from node.domain import refusals
from node.domain.errors import DomainError, RowError
from node.store.faults import fault
from sync.errors import SyncError, TransportError

REFUSED = 1
USAGE = 2

_SAID: dict[type[Exception], str] = {
    refusals.NoNode: "这里还没有节点，请先运行 liandong init，或用 --data 指明数据文件夹",
    refusals.NodeExists: "这里已有节点，未作任何改动；请换一个数据文件夹",
    refusals.NodeRunning: "该节点已在运行，请先停止它 / Stop it first.",
    refusals.BadToken: "邀请码无效，请向上级重新索取（liandong invite）/ Ask the parent for a new one",
    refusals.Healing: "节点尚未入网或正在恢复，请先运行 liandong join / Join the tree first",
    refusals.NotFound: "本节点没有该议题或账号，请核对编号 / Check the id or number",
    refusals.NoChineseFont: "本机没有中文字体，请安装后再试（Debian、Ubuntu：apt install fonts-wqy-microhei）",
    refusals.StorageFull: "磁盘空间不足，请清理后再试",
    TransportError: "联系不上对方节点，请检查地址、网络和对方是否在运行 / Check address, network and whether it runs",
    RowError: "文件内容有误，请按所示行列改正 / Mend the row it names",
}


@dataclass(frozen=True, slots=True)
class Said:
    text: str
    status: int


def explain(error: Exception) -> Said | None:
    """The line and the exit code; None for what nobody foresaw."""
    if isinstance(error, ValidationError):
        return Said(f"填写有误 / Not as it must be: {_fields(error)}", USAGE)
    if isinstance(error, SQLAlchemyError):
        return Said(_database(error), REFUSED)
    if isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return Said(f"无法读写文件或使用网络，请检查路径和权限 / Check path and permissions: {what}", REFUSED)
    if not isinstance(error, DomainError | SyncError):
        return None
    return Said(_one_line(f"{_chinese(error)} / {error}"), REFUSED)


def _chinese(error: Exception) -> str:
    for cls in type(error).__mro__:
        if cls in _SAID:
            return _SAID[cls]
    kind = kind_of(error)
    return kind.title.partition(" / ")[0] if kind is not INTERNAL else "不能这样做"


def _database(error: SQLAlchemyError) -> str:
    known = fault(error)
    if known is not None:
        return f"数据库现在不可用（{known.value}），请稍后再试 / The database cannot be used now, try again"
    cause = type(getattr(error, "orig", None) or error).__name__
    return f"数据库打不开，请检查 --data 和 --database / The database cannot be used, check --data, --database: {cause}"


def _fields(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'value'}: {item['msg']}" for item in error.errors()[:5])


def _one_line(text: str) -> str:
    return " ".join(text.split())
