"""`python -m tests.conformance`: play the checks against a node, wherever and in whatever language it runs."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence

from tests.conformance import checks as subjects
from tests.conformance.kit import CHECKS, Check, Outcome, Stage, play
from tests.conformance.operator_api import Operator
from tests.conformance.parent import Parent

JOIN_S = 3600
MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "-"}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__, epilog="See README.md.")
    parser.add_argument("--url", required=True, help="the node under test")
    parser.add_argument("--token", action="append", default=[], help="an invitation of the node under test; repeatable")
    parser.add_argument(
        "--invite", help="a command that prints an invitation as its last line; {code} and {tier} in it"
    )
    parser.add_argument("--codes", default="620111-620198", help="codes for --invite, first-last")
    parser.add_argument("--tier", default="county", help="tier of the kit's children")
    parser.add_argument("--login", help="NAME:PASSWORD of an account of the node under test with all verbs on topics")
    parser.add_argument("--parent", metavar="CODE:TIER", help="be the parent of the node under test, CODE and TIER its")
    parser.add_argument("--port", type=int, default=0, help="where the kit listens as that parent, on loopback")
    parser.add_argument("--only", default="", help="play checks whose section or name contains this")
    parser.add_argument("--list", action="store_true", help="name the checks and stop")
    return parser.parse_args(given)


def invitations(options: argparse.Namespace) -> Iterator[str]:
    yield from options.token
    first, last = map(int, options.codes.split("-"))
    for code in range(first, last + 1) if options.invite else ():
        command = shlex.split(options.invite.format(code=code, tier=options.tier))
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        yield said.strip().splitlines()[-1]


def parent_of(options: argparse.Namespace) -> Parent | None:
    """The kit as the parent, once the node under test has joined it."""
    if options.parent is None:
        return None
    code, tier = options.parent.split(":")
    parent = Parent(port=options.port).start()
    print(f"The node under test joins with this token:\n{parent.invite(code, tier)}", flush=True)
    parent.until(lambda: code in parent.links, JOIN_S, "the node joins")
    parent.until(lambda: parent.requests, JOIN_S, "the node calls")
    return parent


def chosen(only: str) -> list[Check]:
    """All checks; importing their subjects has named them."""
    assert subjects.__all__
    return [each for each in CHECKS if only in f"{each.section} {each.name}"]


def line(outcome: Outcome) -> str:
    check = outcome.check
    told = f"  {outcome.said}" if outcome.said else ""
    return f"{MARKS[outcome.state]:7}{check.section:6}{check.side:7}{outcome.seconds:6.1f} s  {check.name}{told}"


def main(given: Sequence[str] | None = None) -> int:
    options = arguments(given)
    checks = chosen(options.only)
    if options.list:
        print("\n".join(f"{each.section:6}{each.side:7}{each.name}" for each in checks))
        return 0
    stage = Stage(options.url, invitations(options), above=parent_of(options))
    if options.login:
        name, _, password = options.login.partition(":")
        stage.sign_in = (name, password)
        Operator(options.url, name, password).close()
    outcomes = []
    for check in checks:
        outcomes.append(play(check, stage))
        print(line(outcomes[-1]), flush=True)
    stage.close()
    counts = {state: sum(each.state == state for each in outcomes) for state in MARKS}
    print(f"\n{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
