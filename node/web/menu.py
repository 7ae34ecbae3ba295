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
    Item("/intake", "layout.intake", "open"),
    Item("/import", "layout.import", "import"),
    Item("/topics", "layout.topics", "read"),
    Item("/links", "layout.links", "read"),
)


def current(path: str) -> Item | None:
    """The line a page belongs to."""
    fitting = [item for item in MENU if path == item.path or (item.path != "/" and path.startswith(item.path + "/"))]
    return max(fitting, key=lambda item: len(item.path), default=None)
