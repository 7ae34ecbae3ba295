"""Whether the holder of a token may use a verb now: the one question every door asks before it looks at a request."""

from node.context import Context
from node.domain.policy import SELF_VERBS, STEP_UP, allowed
from node.domain.refusals import FactorNeeded, NotAllowed, PasswordExpired, StepUpNeeded
from node.service.audit import record_refusal
from node.service.perform import Actor
from node.service.sessions import authenticate


def admitted(ctx: Context, token: str, verb: str) -> Actor:
    """Who asks. Raises Unauthenticated, and what `check` raises, which is audited."""
    actor = authenticate(ctx, token)
    audited_check(ctx, actor, verb)
    return actor


def audited_check(ctx: Context, actor: Actor, verb: str) -> None:
    """As `check`; a refusal leaves a row in the audit."""
    try:
        check(ctx, actor, verb)
    except NotAllowed as error:
        record_refusal(ctx, actor.name, verb, None, error)
        raise


def check(ctx: Context, actor: Actor, verb: str) -> None:
    """Raises NotAllowed, StepUpNeeded, PasswordExpired, FactorNeeded."""
    if not allowed(actor.roles, verb, ctx.settings.profile):
        raise NotAllowed(verb)
    if actor.owes is not None and verb not in SELF_VERBS:
        raise PasswordExpired if actor.owes == "password" else FactorNeeded
    if verb in STEP_UP and actor.proved_until is not None and actor.proved_until <= ctx.clock.now():
        raise StepUpNeeded(verb)
