"""Back up a node while it works, and restore it into an empty place (both databases).

A backup is one file: a tar of the database as it was at one moment, of the keys, and of a manifest with their digests.
The guard is no part of it (SPEC 10): that is how a restored node knows that it was restored, and heals (SPEC 14). The
file holds private keys; it is written for its owner alone and can be encrypted to an age recipient.
"""

import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyrage
from sqlalchemy import Engine, func, select, text

from node.clock import instant, parse_instant
from node.config import Settings
from node.context import Context
from node.domain.refusals import Invalid, NodeExists
from node.service import guard
from node.service.identity import BOX_KEY, SIGNING_KEY
from node.store import schema
from node.store.columns import metadata
from node.store.engine import connect, is_sqlite, reading

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE = "node.db"
LAST = "backup.json"
PART_BYTES = 1024 * 1024
AGE_HEADER = b"age-encryption.org/"
_POLL_S = 0.2

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds: which node, when, and the digest of every member."""

    code: str
    at: datetime
    database: str
    schema: str
    members: dict[str, str]


def back_up(ctx: Context, file: Path, recipient: str | None = None, progress: Progress | None = None) -> Backup:
    """Write `file` from one moment of the running node, then turn the epoch. Replaces an older file of that name.

    `recipient`: an age recipient it is encrypted to. Raises Invalid for one that is none.
    """
    to = _recipient(recipient)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=file.resolve().parent) as folder:
        place = Path(folder)
        members = _copy_database(ctx.engine, ctx.settings, place, progress)
        for name in (SIGNING_KEY, BOX_KEY):
            (place / name).write_bytes((ctx.settings.data / name).read_bytes())
            members.append(name)
        found = _describe(ctx, place, members)
        packed = place / "packed"
        _pack(packed, place, found)
        if to is not None:
            pyrage.encrypt_file(str(packed), str(place / "sealed"), [to])
            packed = place / "sealed"
        _settle(packed, file)
    guard.turn(ctx)
    said = {"at": instant(found.at), "file": str(file)}
    guard.write_durably(ctx.settings.data / LAST, json.dumps(said, ensure_ascii=False).encode())
    return found


def last_backup(data: Path) -> datetime | None:
    """When the last one was made here; None where none was, or nobody knows."""
    try:
        return parse_instant(json.loads((data / LAST).read_bytes())["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def restore(settings: Settings, file: Path, identity: str | None = None) -> Backup:
    """Put a backup back into an empty data folder and database; nothing is written before all of it was checked.

    `identity`: the age identity an encrypted one needs. Raises NodeExists where there is something already, Invalid for
    what is no backup, is damaged, or is of another kind of database. The node heals when it is next opened.
    """
    with tempfile.TemporaryDirectory(prefix=".restore-") as folder:
        place = Path(folder)
        found = _unpack(_opened(file, identity, place), place)
        _check_place(settings, found)
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if found.database == "sqlite":
            _settle(place / DATABASE, settings.data / DATABASE)
        else:
            _fill(settings.url, place, found)
        for name in (BOX_KEY, SIGNING_KEY):
            guard.write_durably(settings.data / name, (place / name).read_bytes())
    return found


# ---- out ------------------------------------------------------------------------------------------------------------


def _copy_database(engine: Engine, settings: Settings, place: Path, progress: Progress | None) -> list[str]:
    if not is_sqlite(engine):
        return _dump(engine, place, progress)
    source = Path(str(engine.url.database))
    with _watched(place / DATABASE, source.stat().st_size, progress):
        conn = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
        try:
            conn.execute("VACUUM INTO ?", (str(place / DATABASE),))
        finally:
            conn.close()
    return [DATABASE]


def _dump(engine: Engine, place: Path, progress: Progress | None) -> list[str]:
    """Every table of PostgreSQL in its own binary form, from one snapshot."""
    names = []
    with reading(engine) as conn:
        cursor = conn.connection.dbapi_connection.cursor()  # type: ignore[union-attr]
        for done, table in enumerate(metadata.sorted_tables):
            name = f"{table.name}.copy"
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            leaving = f'COPY "{table.name}" ({columns}) TO STDOUT (FORMAT binary)'
            with open(place / name, "wb") as out, cursor.copy(leaving) as rows:
                for data in rows:
                    out.write(data)
            names.append(name)
            if progress is not None:
                progress(done + 1, len(metadata.sorted_tables))
    return names


@contextmanager
def _watched(file: Path, total: int, progress: Progress | None) -> Iterator[None]:
    """Tell how far a file has grown while the block writes it."""
    done = threading.Event()

    def watch() -> None:
        while progress is not None and not done.wait(_POLL_S):
            progress(min(file.stat().st_size if file.exists() else 0, total), total)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _describe(ctx: Context, place: Path, members: list[str]) -> Backup:
    kind = "sqlite" if is_sqlite(ctx.engine) else "postgresql"
    digests = {name: _digest(place / name) for name in members}
    return Backup(ctx.identity.code, ctx.clock.now(), kind, schema.HEAD, digests)


def _pack(target: Path, place: Path, found: Backup) -> None:
    said = {"v": FORMAT, "code": found.code, "at": instant(found.at), "database": found.database}
    manifest = json.dumps({**said, "schema": found.schema, "members": found.members}).encode()
    with tarfile.open(target, "w") as tar:
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest))
        for name in found.members:
            tar.add(place / name, name, recursive=False)


def _settle(source: Path, target: Path) -> None:
    """Bring a whole file to where it belongs, durably, under its name only once it is whole."""
    fresh = target.with_name(target.name + ".part")
    with open(source, "rb") as read, open(fresh, "wb") as write:
        os.fchmod(write.fileno(), 0o600)
        while data := read.read(PART_BYTES):
            write.write(data)
        write.flush()
        os.fsync(write.fileno())
    os.replace(fresh, target)
    folder = os.open(target.resolve().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# ---- in -------------------------------------------------------------------------------------------------------------


def _opened(file: Path, identity: str | None, place: Path) -> Path:
    """The tar itself, decrypted where it is encrypted."""
    with open(file, "rb") as read:
        encrypted = read.read(len(AGE_HEADER)) == AGE_HEADER
    if not encrypted:
        return file
    if identity is None:
        message = "the backup is encrypted; give the age identity it was made for"
        raise Invalid("identity", message, rule="backup_encrypted")
    plain = place / "plain"
    try:
        pyrage.decrypt_file(str(file), str(plain), [pyrage.x25519.Identity.from_str(identity.strip())])
    except (pyrage.DecryptError, pyrage.IdentityError) as error:
        raise Invalid("identity", f"it does not open this backup: {error}", rule="wrong_identity") from None
    return plain


def _unpack(file: Path, place: Path) -> Backup:
    """Every member beside the manifest, checked against it. Raises Invalid."""
    try:
        with tarfile.open(file, "r:") as tar:
            names = tar.getnames()
            manifest = tar.extractfile(MANIFEST) if names and names[0] == MANIFEST else None
            if manifest is None:
                raise Invalid("file", "not a backup of a node", rule="not_a_backup")
            found = _read_manifest(manifest.read())
            if sorted(names[1:]) != sorted(found.members):
                raise Invalid("file", "the backup is not whole", rule="backup_damaged", name=MANIFEST)
            for name, digest in found.members.items():
                _extract(tar, name, place / name)
                if _digest(place / name) != digest:
                    raise Invalid("file", f"{name} is damaged", rule="backup_damaged", name=name)
    except (tarfile.TarError, EOFError) as error:
        raise Invalid("file", f"not a backup of a node, or cut short: {error}", rule="not_a_backup") from None
    return found


def _extract(tar: tarfile.TarFile, name: str, target: Path) -> None:
    member = tar.extractfile(name) if "/" not in name else None
    if member is None:
        raise Invalid("file", f"{name} is no plain member", rule="backup_damaged", name=name)
    with open(target, "wb") as out:
        while data := member.read(PART_BYTES):
            out.write(data)


def _read_manifest(raw: bytes) -> Backup:
    try:
        said: dict[str, Any] = json.loads(raw)
        if said["v"] != FORMAT:
            raise Invalid("file", "made by a newer program; restore it with that version", rule="backup_newer")
        members = {str(name): str(digest) for name, digest in said["members"].items()}
        return Backup(said["code"], parse_instant(said["at"]), said["database"], said["schema"], members)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Invalid("file", "the manifest cannot be read", rule="backup_damaged", name=MANIFEST) from None


def _check_place(settings: Settings, found: Backup) -> None:
    kind = "sqlite" if settings.url.startswith("sqlite") else "postgresql"
    if kind != found.database:
        message = f"the backup is of {found.database}, this is {kind}"
        raise Invalid("database", message, rule="other_database", theirs=found.database, ours=kind)
    if settings.data.exists() and any(settings.data.iterdir()):
        raise NodeExists(str(settings.data))
    if kind == "postgresql":
        if found.schema != schema.HEAD:
            message = f"made with tables of version {found.schema}, this program has {schema.HEAD}"
            raise Invalid("file", message, rule="other_tables", theirs=found.schema, ours=schema.HEAD)
        engine = connect(settings.url)
        try:
            if schema.current(engine) is not None:
                raise NodeExists("database")
        finally:
            engine.dispose()


def _fill(url: str, place: Path, found: Backup) -> None:
    """All tables of an empty PostgreSQL, in one transaction."""
    engine = connect(url)
    try:
        schema.upgrade(engine)
        with engine.begin() as conn:
            cursor = conn.connection.dbapi_connection.cursor()  # type: ignore[union-attr]
            for table in metadata.sorted_tables:
                columns = ", ".join(f'"{column.name}"' for column in table.columns)
                coming = f'COPY "{table.name}" ({columns}) FROM STDIN (FORMAT binary)'
                with open(place / f"{table.name}.copy", "rb") as read, cursor.copy(coming) as rows:
                    while data := read.read(PART_BYTES):
                        rows.write(data)
            for table in metadata.sorted_tables:
                for column in table.columns:
                    if column.autoincrement is True:
                        last = conn.execute(select(func.max(column))).scalar()
                        named = text("SELECT setval(pg_get_serial_sequence(:table, :column), :last, :used)")
                        values = {"table": table.name, "column": column.name, "last": last or 1, "used": bool(last)}
                        conn.execute(named, values)
    finally:
        engine.dispose()


def _recipient(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise Invalid("recipient", str(error), rule="not_a_recipient") from None


def _digest(file: Path) -> str:
    with open(file, "rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()
