#!/bin/sh
# Writes the three locks from pyproject.toml: every version and hash, for all platforms, no address of any registry.
# Pins already there stay while they fit; `deploy/lock.sh --upgrade` takes the newest.
set -eu
cd "$(dirname "$0")/.."
export UV_PYTHON_DOWNLOADS=never

compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate "$@"
}
compile pyproject.toml --group build -o requirements.lock "$@"
compile pyproject.toml --group build --extra dev -c requirements.lock -o requirements-dev.lock "$@"
compile --group uv -o requirements-uv.lock "$@"
