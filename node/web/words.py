"""What pages say, in both languages: `locale/PAGE.toml` holds pairs, Chinese first, found by `page.name`.

Both stand side by side in one line, so that nobody can write one and forget the other.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
TAGS: Mapping[Language, str] = {"zh": "zh-CN", "en": "en"}


class UnknownWord(LookupError):
    """A page asks for words nobody has written: a fault of the program."""


class Words:
    """The words of one language; called by templates as `t("page.name", count=3)`."""

    def __init__(self, lang: Language) -> None:
        self.lang = lang
        self._column = LANGUAGES.index(lang)

    def __call__(self, key: str, **values: object) -> str:
        """Raises UnknownWord."""
        try:
            text = pairs()[key][self._column]
        except KeyError:
            raise UnknownWord(key) from None
        return text.format_map(values) if values else text

    def known(self, key: str) -> bool:
        return key in pairs()


def pick(text: str, lang: Language) -> str:
    """One half of a bilingual line of the API, `中文 / English`; a line without both is said as it is."""
    chinese, _, english = text.partition(" / ")
    return (english or chinese) if lang == "en" else chinese


@cache
def pairs() -> Mapping[str, tuple[str, str]]:
    """Every key with its Chinese and its English."""
    found: dict[str, tuple[str, str]] = {}
    for file in sorted((files("node.web") / "locale").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            _gather(found, file.name.removesuffix(".toml"), tomllib.loads(file.read_text("utf-8")))
    return found


def field_key(found: Mapping[str, Any]) -> str:
    """The key of what is wrong with one field, of an error as pydantic lists it."""
    kind = found["type"]
    if kind in ("too_short", "too_long") and found.get("ctx", {}).get("field_type") == "Value":
        kind = f"string_{kind}"  # a text, counted after it was stripped
    return f"problem.field.{kind}"


def _gather(found: dict[str, tuple[str, str]], prefix: str, table: Mapping[str, Any]) -> None:
    for name, value in table.items():
        key = f"{prefix}.{name}"
        if isinstance(value, Mapping):
            _gather(found, key, value)
        else:
            chinese, english = value
            found[key] = (chinese, english)
