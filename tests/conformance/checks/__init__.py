"""The checks, by what they are about. Importing this fills `kit.CHECKS`."""

from tests.conformance.checks import (
    above,
    above_evil,
    envelope,
    flows,
    joining,
    lives,
    log,
    papers,
    parts,
    registry,
    statements,
    streams,
    summaries,
    wait,
)

__all__ = [
    "above",
    "above_evil",
    "envelope",
    "flows",
    "joining",
    "lives",
    "log",
    "papers",
    "parts",
    "registry",
    "statements",
    "streams",
    "summaries",
    "wait",
]
