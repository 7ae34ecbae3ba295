"""A PostgreSQL server for the tests.

`LIANDONG_TEST_POSTGRES_URL` names one that is there already; its user must be allowed to create databases. Otherwise
`server()` starts a throw-away one from the binaries of this machine: the system's, or those deploy/setup.sh unpacked
into .cache. It never syncs to disk and listens on a Unix socket only. As PostgreSQL refuses to be root, root hands
its folder to another user and runs it as that one.

Whatever ends the tests ends the server: its shell waits on a pipe that only this process holds open, and stops the
server and removes its folder when the pipe closes, be it by `server()` or by a `kill -9`.

`python -m tests.postgres` exits 1 and says what to do where the tests would find no server.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

START_TIMEOUT_S = 30
CACHE = Path(__file__).parent.parent / ".cache" / "postgres"

# $1 is the folder of the binaries, $2 the server's own.
INITDB = 'exec "$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --no-locale --no-sync'
SERVE = """
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c synchronous_commit=off \
    -c full_page_writes=off -c jit=off >"$2/log" 2>&1 &
cat; kill -INT $!; wait; rm -rf "$2"
"""


class PostgresError(Exception):
    """PostgreSQL for the tests was not found or did not start."""


@contextmanager
def server() -> Iterator[URL]:
    """The maintenance database of a running server."""
    if given := os.environ.get("LIANDONG_TEST_POSTGRES_URL"):
        yield make_url(given)
        return
    binaries, user = find_binaries(), _other_user()
    # Not TMPDIR for root: another user may have no way into it.
    folder = tempfile.mkdtemp(prefix="liandong-postgres-", dir="/tmp" if user else None)
    if user:
        shutil.chown(folder, user["user"], user["group"])
    arguments = ["sh", str(binaries), folder]
    options = {"env": _environment(binaries), "cwd": folder, "start_new_session": True, **user}
    made = subprocess.run(["sh", "-c", INITDB, *arguments], capture_output=True, text=True, **options)
    if made.returncode:
        raise PostgresError(f"initdb failed: {made.stdout}{made.stderr}")
    with subprocess.Popen(["sh", "-c", SERVE, *arguments], stdin=subprocess.PIPE, **options):
        url = URL.create("postgresql+psycopg", "postgres", database="postgres", query={"host": folder})
        _wait_until_ready(url, Path(folder, "log"))
        yield url


@contextmanager
def database(at: URL) -> Iterator[str]:
    """The URL of a fresh empty database on the server, dropped afterwards whoever still holds it."""
    name = f"liandong_test_{secrets.token_hex(8)}"
    with _connect(at) as connection:
        connection.execute(f"create database {name} template template0 encoding 'UTF8' locale 'C'")
    try:
        url = at.set(drivername="postgresql+psycopg", database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        with _connect(at) as connection:
            connection.execute(f"drop database {name} with (force)")


def find_binaries() -> Path:
    """The folder of initdb and postgres: as pg_config says, Debian's newest, on PATH, or set-up's own copy."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if shutil.which("pg_config"):
        said = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True)
        places.insert(0, Path(said.stdout.strip()))
    if on_path := shutil.which("initdb"):
        places.append(Path(on_path).resolve().parent)
    places += CACHE.glob("usr/lib/postgresql/*/bin")
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise PostgresError(
        "no PostgreSQL server for the tests: install one (Debian, Ubuntu: apt install postgresql),"
        " or name one in LIANDONG_TEST_POSTGRES_URL"
    )


def _other_user() -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _environment(binaries: Path) -> dict[str, str]:
    """Nothing of the caller's, whose PG* variables would lead astray; unpacked binaries bring their libraries."""
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    if CACHE in binaries.parents:
        environment["LD_LIBRARY_PATH"] = ":".join(map(str, CACHE.glob("usr/lib/*-linux-gnu*")))
    return environment


def _wait_until_ready(url: URL, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return _connect(url).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise PostgresError(f"postgres did not start: {error}\n{log.read_text()}") from error
            time.sleep(0.02)


def _connect(url: URL) -> psycopg.Connection:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


if __name__ == "__main__":
    try:
        if not os.environ.get("LIANDONG_TEST_POSTGRES_URL"):
            find_binaries()
    except PostgresError as error:
        sys.exit(str(error))
