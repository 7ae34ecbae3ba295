"""The transparency log of the Go project as a checker of ours: a small program over golang.org/x/mod, asked by pipe."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parent / "checklog" / "main.go"
LIBRARIES = Path("/usr/share/gocode")


@cache
def build(folder: Path) -> Path:
    """Compile the checker from the sources that stand beside this file and those of the system."""
    if shutil.which("go") is None or not (LIBRARIES / "src/golang.org/x/mod/sumdb").is_dir():
        pytest.fail(
            "needs Go and its x/mod module: apt install golang-go golang-golang-x-mod-dev, or deploy/setup.sh dev"
        )
    target = folder / "checklog"
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    caches = {"GOCACHE": str(folder / "cache"), "GOPATH": str(LIBRARIES), "GO111MODULE": "off", "GOTOOLCHAIN": "local"}
    subprocess.run(["go", "build", "-o", target, SOURCE], env={**kept, **caches}, check=True)
    return target


def ask(checker: Path, questions: Sequence[dict[str, Any]]) -> list[str]:
    """What is wrong with each; empty where it is right."""
    raw = json.dumps(questions).encode()
    said = subprocess.run([checker], input=raw, capture_output=True, check=True, timeout=100)
    found: list[str] = json.loads(said.stdout)
    return found


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
