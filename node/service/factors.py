"""The second factor: one-time codes by time (RFC 6238), and recovery codes for who lost the telephone.

The secret is kept encrypted to this node's bundle key, so that a copy of the database alone opens nothing. A code is
taken once: its time step must be later than the last one taken.
"""

import hashlib
import hmac
import io
import unicodedata
from base64 import b32encode

import pyotp
import pyrage
import segno
from sqlalchemy import Connection, delete, func, insert, select, update

from node.context import Context
from node.domain.refusals import Invalid, NotFound
from node.service.commit import Batch
from node.store.engine import upsert
from node.store.office import factors, recovery_codes
from schemas.people import FactorView, RecoveryView

STEP_S = 30
DRIFT_STEPS = 1
"""Codes of the step before and after are taken as well: clocks of telephones differ."""
SECRET_BYTES = 20
RECOVERY_CODES = 10
RECOVERY_BYTES = 6
"""Short enough to be typed; kept under a key outside the database, and guessing meets the lock-out."""


def begin(batch: Batch, user: int, name: str) -> FactorView:
    """A new secret, which counts once `confirm` has seen a code of it. Raises Invalid where one is in use."""
    known = batch.conn.execute(select(factors.c.confirmed).where(factors.c.user_id == user)).scalar()
    if known:
        raise Invalid("second_factor", "is in use; remove it first", rule="factor_in_use")
    raw = bytes.fromhex(batch.ctx.clock.token(SECRET_BYTES))
    secret = b32encode(raw).decode()
    sealed = pyrage.encrypt(secret.encode(), [_box(batch.ctx).to_public()])
    row = {"user_id": user, "secret": sealed, "confirmed": False, "last_step": 0, "created_at": batch.now}
    upsert(batch.conn, factors, [row])
    uri = pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(name=name, issuer_name=f"联动 {batch.ctx.identity.name}")
    batch.audit("factor_begin", None, user=user)
    return FactorView(secret=secret, uri=uri, qr=svg(uri))


def confirm(batch: Batch, user: int, otp: str) -> RecoveryView:
    """The app shows the right code: from now on it is asked for. Raises Invalid, NotFound."""
    row = batch.conn.execute(select(factors).where(factors.c.user_id == user)).first()
    if row is None or row.confirmed:
        raise NotFound("no second factor waits to be confirmed")
    step = _step_of(batch.ctx, row.secret, otp, row.last_step)
    if step is None:
        raise Invalid("otp", "is not the code of this moment", rule="wrong_code")
    done = {"confirmed": True, "last_step": step}
    batch.conn.execute(update(factors).where(factors.c.user_id == user).values(**done))
    codes = [batch.ctx.clock.token(RECOVERY_BYTES) for _ in range(RECOVERY_CODES)]
    batch.conn.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user))
    batch.conn.execute(
        insert(recovery_codes), [{"user_id": user, "code_hash": _hash(batch.ctx, code)} for code in codes]
    )
    batch.audit("factor_confirm", None, user=user)
    return RecoveryView(codes=["-".join((code[:6], code[6:])) for code in codes])


def remove(batch: Batch, user: int) -> None:
    """Without a second factor from now on. Raises NotFound."""
    if not batch.conn.execute(delete(factors).where(factors.c.user_id == user)).rowcount:
        raise NotFound("no second factor")
    batch.conn.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user))
    batch.audit("factor_remove", None, user=user)


def asked(conn: Connection, user: int) -> bool:
    """Whether this account has one in use."""
    return bool(conn.execute(select(factors.c.confirmed).where(factors.c.user_id == user)).scalar())


def recovery_left(conn: Connection, user: int) -> int:
    found: int = conn.execute(select(func.count()).where(recovery_codes.c.user_id == user)).scalar_one()
    return found


def use(ctx: Context, conn: Connection, user: int, otp: str) -> bool:
    """Whether this is a code of now, or a recovery code; either is used up."""
    row = conn.execute(select(factors).where(factors.c.user_id == user, factors.c.confirmed)).first()
    if row is None:
        return False
    step = _step_of(ctx, row.secret, otp, row.last_step)
    if step is not None:
        conn.execute(update(factors).where(factors.c.user_id == user).values(last_step=step))
        return True
    digest = _hash(ctx, otp)
    mine = (recovery_codes.c.user_id == user, recovery_codes.c.code_hash == digest)
    return bool(conn.execute(delete(recovery_codes).where(*mine)).rowcount)


def svg(text: str) -> str:
    """A QR code as an SVG image without styles, so that a strict page may show it, that fills whatever it stands in."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", omitsize=True, xmldecl=False)
    return out.getvalue().decode()


def _step_of(ctx: Context, sealed: bytes, otp: str, after: int) -> int | None:
    """The time step whose code this is, later than `after`."""
    secret = pyrage.decrypt(sealed, [_box(ctx)]).decode()
    given = unicodedata.normalize("NFKC", otp).replace(" ", "")
    totp, now = pyotp.TOTP(secret, interval=STEP_S), int(ctx.clock.now().timestamp()) // STEP_S
    for step in range(max(after + 1, now - DRIFT_STEPS), now + DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given.encode()):
            return step
    return None


def _hash(ctx: Context, code: str) -> str:
    plain = unicodedata.normalize("NFKC", code).replace("-", "").replace(" ", "").lower()
    return hmac.new(ctx.identity.box.encode(), b"liandong/recovery/1\n" + plain.encode(), hashlib.sha256).hexdigest()


def _box(ctx: Context) -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.from_str(ctx.identity.box)
