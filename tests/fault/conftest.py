"""The scene, made once, on a disk in memory where there is one: what is tried here is not how fast a disk syncs."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault import scene, strace


@pytest.fixture(scope="session")
def workshop() -> Iterator[Path]:
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="liandong-faults-", dir=memory if os.access(memory, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template(workshop: Path) -> Path:
    (workshop / "template").mkdir()
    return scene.build(workshop / "template")


@pytest.fixture(scope="session")
def tracing() -> None:
    if why := strace.missing():
        pytest.skip(why)
