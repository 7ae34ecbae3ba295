"""The code lists in force at this node: divisions, powers catalogue, categories, calendar (SPEC 7.4).

A list is a numbered version published by a node for itself and all nodes below it. In force is the highest version of
the uppermost publisher; where nobody published, the built-in list.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from node.context import Context
from node.domain import calendar, divisions
from node.domain import catalogue as powers
from node.domain import categories as classes
from node.domain.calendar import Calendar
from node.domain.catalogue import Catalogue
from node.domain.categories import Categories
from node.domain.divisions import DivisionTree
from node.store.engine import insert_new
from node.store.tables import catalogues, parts
from schemas.ids import Digest, NodeCode

LISTS = "lists"


@dataclass(frozen=True, slots=True)
class Lists:
    """The code lists in force together."""

    tree: DivisionTree
    categories: Categories
    catalogue: Catalogue
    calendar: Calendar


_COUNT = select(func.count()).select_from(catalogues)


def in_force(ctx: Context, conn: Connection) -> Lists:
    """The lists of this database state; read again only when a version was added."""
    count = conn.execute(_COUNT).scalar_one()
    cached = ctx.cache.get(LISTS)
    if isinstance(cached, tuple) and cached[0] == count:
        known: Lists = cached[1]
        return known
    lists = _read(conn) if count else _builtin()
    ctx.cache[LISTS] = (count, lists)
    return lists


def areas_above(lists: Lists, code: str) -> tuple[str, ...]:
    """The codes of the divisions above an area; none for an area no table knows."""
    tree = lists.tree
    return tuple(division.code for division in tree.ancestors(code)) if tree.resolve_area(code) else ()


def check(name: str, content: bytes, categories: Categories | None = None) -> None:
    """Raises the typed error of the list, naming the row, unless `content` can be used."""
    if name == "divisions":
        divisions.load(content)
    elif name == "categories":
        classes.load_categories(content)
    elif name == "powers":
        powers.load(content, categories)
    elif name == "calendar":
        calendar.load_calendar(content)


def add_version(conn: Connection, row: dict[str, object]) -> None:
    """A new version of a list: `list, author, version, rank, statement, digest, at`; the first of a number stays."""
    insert_new(conn, catalogues, [row])


def last_version(conn: Connection, name: str, author: NodeCode) -> int:
    query = select(func.coalesce(func.max(catalogues.c.version), 0))
    version: int = conn.execute(query.where(catalogues.c.list == name, catalogues.c.author == author)).scalar_one()
    return version


def _builtin() -> Lists:
    days = calendar.builtin_calendar()
    return Lists(divisions.builtin(), classes.builtin_categories(), powers.builtin(), days)


def _read(conn: Connection) -> Lists:
    tree, content = divisions.builtin(), _content(conn, "divisions")
    if content is not None:
        tree = divisions.load(content)
    categories, content = classes.builtin_categories(), _content(conn, "categories")
    if content is not None:
        categories = classes.load_categories(content)
    catalogue, content = powers.builtin(), _content(conn, "powers")
    if content is not None:
        catalogue = powers.load(content, categories)
    days, content = calendar.builtin_calendar(), _content(conn, "calendar")
    if content is not None:
        days = calendar.load_calendar(content).over(days)
    return Lists(tree, categories, catalogue, days)


_UPPERMOST = (
    select(catalogues.c.digest)
    .where(catalogues.c.list == bindparam("name"))
    .order_by(catalogues.c.rank.desc(), catalogues.c.version.desc())
    .limit(1)
)


def _content(conn: Connection, name: str) -> bytes | None:
    digest: Digest | None = conn.execute(_UPPERMOST, {"name": name}).scalar()
    if digest is None:
        return None
    return conn.execute(select(parts.c.content).where(parts.c.digest == digest)).scalar()
