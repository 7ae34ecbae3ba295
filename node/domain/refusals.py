"""Why a command is refused now, as one tree below DomainError; node.api.problems maps each to its problem type.

Refusal
  NotTheWriter, OfferOpen, NotOfferedHere, AlreadyDecided, StepOrder, ChildrenOpen, OrphansOpen, CloseAtOrigin
  Healing (NotJoined, NotMet)
  NotTheParent, NotADescendant, OverrideReasonMissing, Invalid, IdempotencyKeyReused
  Malformed, BadCursor, Unauthenticated (OtpNeeded), NotAllowed (StepUpNeeded, PasswordExpired, FactorNeeded, OwnClaim)
  NotFound (NoReceipt), TooLarge, UnsupportedMedia, DutiesOpen, AlreadyTaken
  TooManyRequests, Unavailable, NoChineseFont, StorageFull, NoNode, NodeExists, NodeRunning, BadToken
  StaleCheckpoint, CheckpointConflict, NotWitnessed
"""

from node.domain.errors import DomainError


class Refusal(DomainError):
    """The command is refused and has changed nothing."""


class NotTheWriter(Refusal):
    """This node does not hold the topic, or the topic is closed or frozen."""


class OfferOpen(Refusal):
    """The topic is on offer and waits for the other node's answer; recall it to go on here."""


class NotOfferedHere(Refusal):
    """There is no open offer of this topic to this node."""


class AlreadyDecided(Refusal):
    """The offer has been answered already."""


class StepOrder(Refusal):
    """The six steps follow one another; none can be skipped."""


class ChildrenOpen(Refusal):
    """Split-off topics are still open; wait for them or detach them by name."""


class OrphansOpen(Refusal):
    """Entries that lost against a claim are not disposed of; adopt each or set it aside."""


class CloseAtOrigin(Refusal):
    """Only the node of origin gives the feedback and closes; a node elsewhere reports back."""


class Healing(Refusal):
    """The node is read-only until it may sign again."""


class NotJoined(Healing):
    """This node has not joined the tree yet."""


class NotMet(Healing):
    """The parent, or a root's child, was not met since this start."""


class NotTheParent(Refusal):
    """A topic goes up only to the direct parent, and this node has none."""


class NotADescendant(Refusal):
    """A topic goes down only to an enrolled node below this one."""


class OverrideReasonMissing(Refusal):
    """This differs from the suggested tier; say why in override_reason."""


class Invalid(Refusal):
    """A field is not as it must be.

    `rule` names what it breaks, `values` what the words for that are about: what a person reads comes from there.
    """

    def __init__(self, field: str, message: str, rule: str | None = None, **values: object) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.rule = rule
        self.values = values


class IdempotencyKeyReused(Refusal):
    """This Idempotency-Key was used for a different request."""


class Malformed(Refusal):
    """The request is not strict JSON."""


class BadCursor(Refusal):
    """The cursor is not one this list gave out."""


class Unauthenticated(Refusal):
    """Sign in first."""


class NotAllowed(Refusal):
    """Your role does not allow this."""


class OtpNeeded(Unauthenticated):
    """Name and password are right; this account also asks for a one-time code, in the field otp."""


class StepUpNeeded(NotAllowed):
    """Give your password again before this."""


class PasswordExpired(NotAllowed):
    """Your password is too old; set a new one first."""


class FactorNeeded(NotAllowed):
    """This office asks for a second factor; set one up first."""


class OwnClaim(NotAllowed):
    """须由另一人批准 / Another person than the one who asked has to approve it."""


class DutiesOpen(Refusal):
    """This person still holds posts with open items; hand them over first."""


class AlreadyTaken(Refusal):
    """Somebody has decided about this already."""


class NotFound(Refusal):
    """There is nothing here by that name."""


class NoReceipt(NotFound):
    """This node's log holds nothing of the kind: it did not write it, or in a life that a restore has ended."""


class TooLarge(Refusal):
    """The request is larger than what is taken."""


class UnsupportedMedia(Refusal):
    """The content type is not one that is read here."""


class TooManyRequests(Refusal):
    """Too many requests; wait a little."""

    retry_after_s = 30


class Unavailable(Refusal):
    """The node is busy; try again."""

    retry_after_s = 2


class NoChineseFont(Refusal):
    """No font on this machine has Chinese characters; install one (Debian, Ubuntu: apt install fonts-wqy-microhei)."""

    retry_after_s = 60


class StorageFull(Refusal):
    """The disk is full; nothing was signed. Free some space and try again."""

    retry_after_s = 60


class NoNode(Refusal):
    """There is no node here; make one with liandong init."""


class NodeExists(Refusal):
    """There is a node here already; nothing was changed."""


class BadToken(Refusal):
    """The invitation is unknown, used by another node, or for a different one."""


class NodeRunning(Refusal):
    """This node runs already."""


class StaleCheckpoint(Refusal):
    """The tree is not the one this witness signed last."""

    def __init__(self, size: int = 0) -> None:
        super().__init__(f"signed last: {size}")
        self.size = size


class CheckpointConflict(Refusal):
    """The log has signed another root of this size; both are kept."""


class NotWitnessed(Refusal):
    """No witness has signed for this yet; try again after the next exchange with the parent."""
