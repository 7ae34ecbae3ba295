"""A disk that is really full: a small file system of its own, on which a real node goes on and comes back by itself."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.clock import Clock
from node.config import Settings
from node.demo.town import free_port
from node.service.create import Plan, init_node
from node.service.users import add_user
from node.service.verify import verify
from schemas.ids import Tier
from tests.fault.clerk import NAME, PASSWORD, Clerk
from tests.fault.crew import until
from tests.fault.forks import Fork
from tests.fault.line import serve_here
from tests.fault.scene import load_node, shut

CODE = "620100"
START_S = 60.0
COMMANDS_MAX = 5000
BALLAST = "ballast"
"""What a person deletes to make room: an eighth of the disk."""
MIB = 1024 * 1024

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(params=[(2, 0), (4, 0), (8, 2 * MIB)], ids=["2-MiB", "4-MiB", "8-MiB-and-a-reserve"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A file system of so many MiB, and how much of it a node there must leave free."""
    size, reserve = request.param
    if os.geteuid() != 0:
        pytest.skip("NOT ROOT: only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"NO MOUNT HERE: {mounted.stderr.strip()}")
    try:
        yield folder, reserve
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def office(small_disk: tuple[Path, int]) -> Iterator[tuple[Clerk, Path, int]]:
    """A node on the small disk, serving; something else takes room beside it."""
    disk, reserve = small_disk
    port = free_port(Clock())
    settings = Settings(data=disk / CODE, disk_reserve_bytes=0)
    ctx = init_node(settings, Clock(), Plan(CODE, "兰州市政协", Tier.CITY, f"http://127.0.0.1:{port}", root=True))
    add_user(ctx, NAME, PASSWORD, ["clerk", "admin"])
    shut(ctx)
    fork = Fork(serve_here, disk, CODE, port, True, reserve)
    fork.go()
    clerk = Clerk("127.0.0.1", port)
    until(clerk.sign_in, START_S, "it does not start")
    total = os.statvfs(disk).f_blocks * os.statvfs(disk).f_frsize
    (disk / BALLAST).write_bytes(bytes(total // 8))
    yield clerk, disk, reserve
    clerk.hang_up()
    fork.process.kill()
    fork.end()


@pytest.mark.timeout(300)
def test_a_node_on_a_full_disk_refuses_reads_on_and_recovers_alone(office: tuple[Clerk, Path, int]):
    clerk, disk, reserve = office
    kept = [_open(clerk, n) for n in range(3)]
    refusal = None
    for n in range(3, COMMANDS_MAX):
        status, said = clerk.ask("POST", "/api/v1/topics", _form(n), f"key{n:06d}")
        if status != 201:
            refusal = (n, status, said)
            break
        kept.append(said["id"])
    assert refusal is not None, "the disk did not fill up"
    n, status, said = refusal
    assert said["type"].rpartition(":")[2] in (("storage-full",) if reserve else ("storage-full", "unavailable"))
    assert status in (507, 503)
    assert clerk.ask("GET", f"/api/v1/topics/{kept[0]}")[0] == 200
    (disk / BALLAST).unlink()
    until(lambda: clerk.ask("POST", "/api/v1/topics", _form(n), f"key{n:06d}")[0] == 201, 30, "it did not recover")
    assert {topic["id"] for topic in clerk.all("/api/v1/topics")} >= set(kept)
    assert len(clerk.all("/api/v1/topics")) == len(kept) + 1
    (disk / f"{CODE}.log").unlink()  # room for what verify needs
    ctx = load_node(disk, CODE)
    assert verify(ctx).problems == []
    shut(ctx)


def _form(n: int) -> dict[str, object]:
    return {"title": f"第{n}件", "text": "路灯不亮，请修。" * 100, "areas": [CODE]}


def _open(clerk: Clerk, n: int) -> str:
    status, said = clerk.ask("POST", "/api/v1/topics", _form(n), f"key{n:06d}")
    assert status == 201, said
    topic: str = said["id"]
    return topic
