"""Writes schemas/vectors and the worked example of SPEC 17; the same bytes every time.

`python -m tests.wire.make_vectors` writes what is missing and the example. A vector once committed is never changed:
where one would come out otherwise it is left alone and named, and the exit status is 1.
"""

import json
import sys
from pathlib import Path

from tests.wire.bad_chains import bad_chains
from tests.wire.bad_documents import bad_documents
from tests.wire.bad_statements import bad_statements
from tests.wire.example import example
from tests.wire.good import Vector, good
from tests.wire.lives import bad_lives, good_lives
from tests.wire.logs import bad_logs, good_logs
from tests.wire.summaries import bad_summaries, good_summaries

ROOT = Path(__file__).parent.parent.parent
VECTORS = ROOT / "schemas" / "vectors"
SPEC = ROOT / "schemas" / "SPEC.md"
BEGIN, END = "<!-- example -->\n", "<!-- end of example -->"


def vectors() -> dict[str, Vector]:
    """Every vector by its path below schemas/vectors."""
    made = {
        f"good/{name}.json": vector
        for name, vector in [*good().items(), *good_summaries(), *good_logs(), *good_lives()]
    }
    for name, vector in [
        *bad_statements(),
        *bad_chains(),
        *bad_documents(),
        *bad_summaries(),
        *bad_logs(),
        *bad_lives(),
    ]:
        path = f"bad/{name}.json"
        assert path not in made, f"two vectors called {name}"
        made[path] = vector
    return made


def rendered(vector: Vector) -> str:
    return json.dumps(vector, ensure_ascii=False, indent=1) + "\n"


def with_example(spec: str) -> str:
    """The text of SPEC with the example in its place."""
    before, _, rest = spec.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + example() + END + after


def main() -> int:
    differ = []
    for path, vector in vectors().items():
        file = VECTORS / path
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(rendered(vector), "utf-8")
        elif file.read_text("utf-8") != rendered(vector):
            differ.append(path)
    SPEC.write_text(with_example(SPEC.read_text("utf-8")), "utf-8")
    for path in differ:
        print(f"differs and stays as it is: {path}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
