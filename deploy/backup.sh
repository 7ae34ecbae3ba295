#!/bin/sh
# A consistent copy of a running node's database, and of its keys: backup.sh FOLDER [HOW_MANY_TO_KEEP]
# Takes LIANDONG_DATA and LIANDONG_DATABASE_URL as the node does. Leaves out guard.json on purpose: that file says how
# far this node has lived, and must never come back from a backup. What a backup is good for: docs/install.md.
set -eu
umask 077
folder=${1:?usage: backup.sh FOLDER [HOW_MANY_TO_KEEP]}
keep=${2:-14}
data=${LIANDONG_DATA:?LIANDONG_DATA is not set}
python=${LIANDONG_PYTHON:-/opt/liandong/.venv/bin/python}

mkdir -p "$folder"
fresh=$folder/.new.$$
trap 'rm -rf "$fresh"' EXIT
mkdir "$fresh"

case ${LIANDONG_DATABASE_URL:-} in
"")
    "$python" - "$data/node.db" "$fresh/node.db" <<'PYTHON'
import sqlite3
import sys

source = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
copy = sqlite3.connect(sys.argv[2])
with copy:
    source.backup(copy)
found = copy.execute("PRAGMA integrity_check").fetchone()[0]
copy.close()
source.close()
sys.exit(None if found == "ok" else f"the copy is damaged: {found}")
PYTHON
    ;;
postgres*)
    # Through the environment: a command line is there for every user of the machine to read.
    eval "$("$python" - <<'PYTHON'
import os
import shlex

from sqlalchemy import make_url

url = make_url(os.environ["LIANDONG_DATABASE_URL"])
parts = {"PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password,
         "PGDATABASE": url.database, **{f"PG{name.upper()}": value for name, value in url.query.items()}}
for name, value in parts.items():
    if value is not None:
        print(f"export {name}={shlex.quote(str(value))}")
PYTHON
    )"
    pg_dump --format=custom --file="$fresh/node.dump"
    ;;
*)
    echo "backup.sh: knows SQLite and PostgreSQL only; back up $LIANDONG_DATABASE_URL yourself" >&2
    exit 2
    ;;
esac
cp "$data/signing.pem" "$data/box.txt" "$fresh/"

name=$folder/$(date -u +%Y%m%dT%H%M%SZ)
mv "$fresh" "$name"
sync "$name"/* "$folder" 2>/dev/null || sync
echo "$name"

for old in $(ls -1d "$folder"/[0-9]*T[0-9]*Z | sort -r | tail -n "+$((keep + 1))"); do
    rm -rf "$old"
done
