"""B11: from a change in a county until it stands on the province's dashboard, open in a browser that nobody touches.

County, city and province are processes of their own, idle but for the one change. The clock runs from the county's
durable 201 until the page in Chromium shows the new figure. `python -m benchmarks B11`; needs a Chromium.
"""

import random
import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks import gansu
from benchmarks.field import PASSWORD, Client, running
from benchmarks.gansu import Place
from benchmarks.measure import Figure, median, percentile
from node.clock import Clock
from node.config import Settings
from node.service.identity import load
from node.service.users import add_user
from schemas.ids import Tier

CHANGES = 40
REST_S = (2.0, 4.0)
"""Between changes, each of another length: the moment it falls into a node's ticks is a matter of chance."""
TARGET_S = 5
ALL = '#overview a[href="/overview/topics"]'
"""The figure that counts every topic."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def measure(folder: Path) -> list[Figure]:
    places = _tree(folder)
    top, county = places[0], next(place for place in places if place.tier is Tier.COUNTY)
    with ExitStack() as nodes:
        for place in places:
            nodes.enter_context(running(folder / place.code, place.url))
        chromium = nodes.enter_context(sync_playwright()).chromium
        options: Any = {"executable_path": _executable(), "args": ["--no-sandbox", "--disable-gpu"]}
        browser = chromium.launch(**options)
        nodes.callback(browser.close)
        page = browser.new_page()
        _sign_in(page, top.url)
        clerk = Client(county.url).sign_in()
        taken = [_change(page, clerk, county.code) for _ in range(CHANGES)]
    return [
        Figure("B11", f"county to the open dashboard, {CHANGES} changes, median", median(taken), "s"),
        Figure("B11", "the same, p95", percentile(taken, 0.95), "s", reach=TARGET_S, aim=TARGET_S / 2, lower=True),
    ]


def _tree(folder: Path) -> list[Place]:
    """One node of each tier, each with a clerk."""
    ports = {place.code: place.port for place in gansu.places(1, 1)}
    places = [replace(place, line=ports[place.parent or place.code]) for place in gansu.places(1, 1)]
    gansu.make(folder, places, Clock())
    for place in places[1:]:
        ctx = load(Settings(data=folder / place.code, disk_reserve_bytes=0), Clock())
        add_user(ctx, "bench", PASSWORD, ["clerk", "admin"])
        ctx.engine.dispose()
    return places


def _sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/sign-in?next=/overview")
    page.fill("[name=username]", "bench")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_selector(ALL)


def _change(page: Page, clerk: Client, county: str) -> float:
    """Seconds until one more topic of the county is counted on the open page."""
    time.sleep(random.uniform(*REST_S))
    before = page.inner_text(ALL)
    form = {"title": "路灯不亮", "text": "三天了。", "areas": [county]}
    status, _ = clerk.request("POST", "/api/v1/topics", form)
    assert status == 201, status
    start = time.perf_counter()
    page.wait_for_function("([all, before]) => document.querySelector(all)?.innerText !== before", arg=[ALL, before])
    return time.perf_counter() - start


def _executable() -> str:
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    if not found:
        raise SystemExit("B11 needs a Chromium on this machine (Debian: apt install chromium)")
    return found[0]
