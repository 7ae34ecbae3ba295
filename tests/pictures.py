"""`python -m tests.pictures`: the README's pictures, taken of a demonstration made for that, of made-up messages only.

It stands among the tests because it is made of what they have: the Chromium, the windows, the demonstration. What an
office sees of real messages must not be published, so it never photographs a demonstration that is running already.
"""

import io
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.progress import track

from node.demo.telling import Teller
from node.demo.town import LOCK_FILE, Town
from tests.chromium import chromium
from tests.e2e.people import PHONE, Person, Windows

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "pictures"
PROVINCE, CITY, COUNTY = "620000", "620100", "620102"
DESK = {"width": 1200, "height": 820}
TOPICS = 150
COLOURS = 96
BYTES_MAX = 150_000
GAP = 24


class TooBig(Exception):
    """A picture is larger than a README should carry."""


@contextmanager
def demonstration() -> Iterator[Town]:
    """A kept demonstration of its own, ended with the block."""
    with tempfile.TemporaryDirectory(prefix="liandong-pictures-") as made:
        folder = Path(made) / "demo"
        town = Town(folder, Teller(0))
        command = [sys.executable, "-m", "node", "demo", "--keep", str(folder), "--topics", str(TOPICS)]
        env = {**os.environ, "LIANDONG_SHARED_DATA": made}
        try:
            subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, check=True)
            town.reopen()
            yield town
        finally:
            town.stop()
            for lock in folder.glob(f"*/{LOCK_FILE}"):
                with suppress(OSError, ValueError):
                    os.kill(int(lock.read_text()), signal.SIGTERM)


class Photographer:
    """Takes the pictures one by one, each as a person of an office or a citizen sees it."""

    def __init__(self, town: Town, windows: Windows) -> None:
        self._town = town
        self._windows = windows
        self._main = next(
            view["id"] for view in town.province.all_topics() if view["title"].startswith("进城务工人员随迁子女")
        )

    def today(self) -> bytes:
        return self._desk(COUNTY).open("/").screenshot()

    def topic(self) -> bytes:
        return self._desk(CITY).open(f"/topics/{self._main}").screenshot()

    def topic_in_english(self) -> bytes:
        return self._desk(CITY).speak_english().open(f"/topics/{self._main}").screenshot()

    def overview(self) -> bytes:
        page = self._desk(PROVINCE).open("/overview")
        page.locator(".counts").first.evaluate("counts => scrollTo(0, counts.offsetTop - 10)")
        return page.screenshot()

    def preview(self) -> bytes:
        """What would leave the county with a matter of two counties."""
        county = self._town.counties[0]
        topic = next(view for view in county.get("/api/v1/topics", status="active", step="collect", limit=200)["items"])
        person = self._desk(COUNTY)
        person.open(f"/topics/{topic['id']}/escalate")
        person.fill(reason="涉及两个区，需统一标准", tried="已现场协调三次", override_reason="两区居民都有反映")
        person.page.locator("button[value=look]").click()
        return person.page.screenshot()

    def phones(self) -> bytes:
        """A citizen's form and her matter, and the clerk's day, side by side."""
        form, receipt = (url for _, _, url in self._town.doors[:2])
        citizen = self._windows.person(COUNTY, size=PHONE)
        shots = []
        for url in (form, receipt):
            citizen.page.goto(url)
            shots.append(citizen.page.screenshot())
        clerk = self._windows.person(COUNTY, size=PHONE).sign_in()
        shots.append(clerk.open("/").screenshot())
        return side_by_side(shots)

    def _desk(self, code: str) -> Person:
        return self._windows.person(code, size=DESK).sign_in()


def side_by_side(shots: list[bytes]) -> bytes:
    pictures = [Image.open(io.BytesIO(shot)) for shot in shots]
    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) - 1)
    whole = Image.new("RGB", (width, max(picture.height for picture in pictures)), "#c9ced6")
    left = 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width + GAP
    out = io.BytesIO()
    whole.save(out, "PNG")
    return out.getvalue()


def small(shot: bytes) -> bytes:
    """The picture in few colours, which is what a page has anyway. Raises TooBig."""
    out = io.BytesIO()
    whole = Image.open(io.BytesIO(shot)).convert("RGB")
    whole.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    if out.tell() > BYTES_MAX:
        raise TooBig(f"{out.tell()} bytes, {BYTES_MAX} allowed")
    return out.getvalue()


def main() -> int:
    console = Console()
    FOLDER.mkdir(exist_ok=True)
    with demonstration() as town, chromium() as browser:
        windows = Windows(browser, town)
        camera = Photographer(town, windows)
        taken = (camera.today, camera.topic, camera.topic_in_english, camera.preview, camera.overview, camera.phones)
        for take in track(taken, "照片 pictures", console=console):
            file = FOLDER / f"{take.__name__.replace('_', '-')}.png"
            file.write_bytes(small(take()))
            console.print(f"{file.relative_to(ROOT)}: {file.stat().st_size} bytes")
        windows.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
