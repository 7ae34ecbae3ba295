"""The Chromium of this machine, driven by Playwright: as a person's browser, with nothing but the node in reach.

`python -m tests.chromium` says whether there is one.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

SETTING = "LIANDONG_TEST_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoChromium(Exception):
    """No Chromium on this machine."""


def executable() -> str:
    """Its path. Raises NoChromium."""
    named = os.environ.get(SETTING)
    found = [named] if named else [path for name in NAMES if (path := shutil.which(name))]
    if not found or not Path(found[0]).exists():
        raise NoChromium(
            f"no Chromium here: install it (Debian: apt install chromium fonts-wqy-microhei), or name one in {SETTING}"
        )
    return found[0]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running one, ended with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    try:
        executable()
    except NoChromium as error:
        sys.exit(str(error))
