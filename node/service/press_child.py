"""The process that draws and prints, apart from the node: `python -m node.service.press_child`.

A line of JSON asks, a line of JSON answers, in turn, until its input ends. Here alone the two libraries are loaded that
cost more memory than a whole node; neither reaches for a network or reads a file, save the fonts of the machine.
"""

import base64
import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

VEGA_LITE_VERSION = "6.4"
CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "SimSun",
    "SimHei",
    "Droid Sans Fallback",
)
"""Families that hold the characters, in the order they are taken."""


class NoFont(Exception):
    """No font of this machine has Chinese characters."""


def draw(asked: Mapping[str, Any]) -> str:
    """The SVG of a Vega or Vega-Lite specification."""
    import vl_convert

    spec = asked["spec"]
    if "/vega/" in spec["$schema"]:
        return vl_convert.vega_to_svg(spec, allowed_base_urls=[])
    return vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE_VERSION, allowed_base_urls=[])


def typeset(asked: Mapping[str, Any]) -> str:
    """The PDF of a typst template and its data, in base64. Raises NoFont."""
    import typst

    fonts = _fonts()
    source = Path(__file__).with_name(asked["template"]).read_bytes()
    given = json.dumps({**asked["data"], "fonts": chinese(fonts.families())}, ensure_ascii=False)
    made = typst.Compiler(source, font_paths=fonts).compile(
        format="pdf",
        sys_inputs={"data": given},
        timestamp=datetime.fromisoformat(asked["at"]).replace(microsecond=0),
        pdf_standards=["ua-1"],
    )
    return base64.b64encode(made).decode()  # type: ignore[arg-type]  # one document is one string of bytes


def chinese(families: Iterable[str]) -> list[str]:
    """Those that hold the characters, best first. Raises NoFont."""
    there = set(families)
    found = [name for name in CHINESE if name in there]
    if not found:
        raise NoFont
    return found


@cache
def _fonts() -> Any:
    """Those of the machine, looked for once."""
    import typst

    return typst.Fonts(include_embedded_fonts=True)


WORK = {"draw": draw, "typeset": typeset}


def main() -> None:
    """Until the node closes the pipe or is no more. What the libraries print goes nowhere: the pipe is for answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    for line in sys.stdin.buffer:
        try:
            asked = json.loads(line)
            said = {"made": WORK[asked["work"]](asked)}
        except Exception as error:
            said = {"error": type(error).__name__, "detail": str(error)}
        answers.write(json.dumps(said) + "\n")
        answers.flush()


def font() -> None:
    """For set-up: names the font that Chinese is printed with, and fails where there is none."""
    try:
        print(chinese(_fonts().families())[0])
    except NoFont:
        sys.exit("no font with Chinese characters")


if __name__ == "__main__":
    font() if sys.argv[1:] == ["--font"] else main()
