"""The menu of the console: who sees which pages, in this order."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """One line: `word` names it, whoever has `verb` sees it. The longest `path` a page lies below is marked."""

    path: str
    word: str
    verb: str


MENU: tuple[Item, ...] = (
    Item("/", "layout.today", "read"),
    Item("/overview", "layout.overview", "read"),
    Item("/intake", "layout.intake", "open"),
    Item("/import", "layout.import", "import"),
    Item("/topics", "layout.topics", "read"),
    Item("/drafts", "layout.drafts", "read_drafts"),
    Item("/links", "layout.links", "read"),
    Item("/trust", "layout.trust", "read"),
    Item("/units", "layout.units", "read_units"),
    Item("/posters", "layout.posters", "print_sheets"),
    Item("/people", "layout.people", "list_users"),
    Item("/audit", "layout.audit", "read_audit"),
    Item("/account", "layout.account", "own_account"),
)


def current(path: str) -> Item | None:
    """The line a page belongs to."""
    fitting = [item for item in MENU if path == item.path or (item.path != "/" and path.startswith(item.path + "/"))]
    return max(fitting, key=lambda item: len(item.path), default=None)
