#!/bin/sh
# A backup of the running node, kept for some nights: backup.sh FOLDER [HOW_MANY_TO_KEEP]
# Takes LIANDONG_DATA and LIANDONG_DATABASE_URL as the node does. The files hold private keys. docs/restore.md.
set -eu
umask 077
folder=${1:?usage: backup.sh FOLDER [HOW_MANY_TO_KEEP]}
keep=${2:-14}
liandong=${LIANDONG:-/opt/liandong/.venv/bin/liandong}

mkdir -p "$folder"
"$liandong" backup "$folder/$(date -u +%Y%m%dT%H%M%SZ).liandong"
for old in $(ls -1 "$folder"/[0-9]*T[0-9]*Z.liandong | sort -r | tail -n "+$((keep + 1))"); do
    rm -f "$old"
done
