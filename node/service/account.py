"""One's own account: who I am here, my second factor. Whatever weakens it asks for the password again."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import select

from node.context import Context
from node.domain.errors import DomainError
from node.domain.refusals import Invalid, OtpNeeded
from node.service import factors
from node.service.audit import record_refusal
from node.service.commit import Batch, write
from node.service.passwords import matches
from node.service.perform import Actor
from node.store.engine import reading
from node.store.office import sessions, users
from schemas.people import FactorView, OtpForm, OwnView, ProofForm, RecoveryView


def own(ctx: Context, actor: Actor) -> OwnView:
    """Who is signed in, with what, and until when."""
    with reading(ctx.engine) as conn:
        ends: datetime | None = conn.execute(
            select(sessions.c.expires_at).where(sessions.c.token_hash == actor.session)
        ).scalar()
        return OwnView(
            id=actor.user_id,
            name=actor.name,
            roles=sorted(actor.roles),
            second_factor=factors.asked(conn, actor.user_id),
            recovery_codes_left=factors.recovery_left(conn, actor.user_id),
            owes=actor.owes,
            proved_until=actor.proved_until,
            expires_at=ends or ctx.clock.now(),
        )


def begin_factor(ctx: Context, actor: Actor, form: ProofForm) -> FactorView:
    """Raises Invalid where the password is wrong or a factor is in use already."""
    _check_password(ctx, actor, form, "factor_begin")
    with _own_write(ctx, actor) as batch:
        return factors.begin(batch, actor.user_id, actor.name)


def confirm_factor(ctx: Context, actor: Actor, form: OtpForm) -> RecoveryView:
    """Raises Invalid, NotFound."""
    with _own_write(ctx, actor) as batch:
        return factors.confirm(batch, actor.user_id, form.otp)


def remove_factor(ctx: Context, actor: Actor, form: ProofForm) -> OwnView:
    """Raises Invalid, OtpNeeded, NotFound."""
    _check_password(ctx, actor, form, "factor_remove")
    with _own_write(ctx, actor) as batch:
        if form.otp is None:
            raise OtpNeeded
        if not factors.use(ctx, batch.conn, actor.user_id, form.otp):
            raise Invalid("otp", "is not the code of this moment", rule="wrong_code")
        factors.remove(batch, actor.user_id)
    return own(ctx, actor)


def _check_password(ctx: Context, actor: Actor, form: ProofForm, action: str) -> None:
    with reading(ctx.engine) as conn:
        stored = conn.execute(select(users.c.password_hash).where(users.c.id == actor.user_id)).scalar_one()
    if not matches(stored, form.password):
        error: DomainError = Invalid("password", "is not your password", rule="wrong_password")
        record_refusal(ctx, actor.name, action, None, error)
        raise error


@contextmanager
def _own_write(ctx: Context, actor: Actor) -> Iterator[Batch]:
    """A write in this person's name; a refusal is audited."""
    try:
        with write(ctx) as batch:
            batch.actor = actor.name
            yield batch
    except DomainError as error:
        record_refusal(ctx, actor.name, "own_account", None, error)
        raise
