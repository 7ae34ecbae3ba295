"""Which models are checked with what, and which must fail: the simplifications that are forbidden, guards taken out."""

from dataclasses import dataclass
from typing import Literal

Model = Literal["custody", "stream", "session"]
Size = Literal["push", "large"]


@dataclass(frozen=True, slots=True)
class Run:
    """A model with its bounds. `fails`: one guard is missing, so that an assertion must be violated."""

    name: str
    model: Model
    bounds: str
    fails: bool = False
    size: Size = "push"

    @property
    def defines(self) -> tuple[str, ...]:
        return tuple(f"-D{bound}" for bound in self.bounds.split())


HOLDING = (
    Run("one restore of anybody, one claim", "custody", "ENTRIES=3 RESTORES=1 CLAIMS=1"),
    Run("two restores in a row of the county", "custody", "ENTRIES=3 RESTORES=2 RESTORABLE=1 CLAIMS=1 NONCES_FALL"),
    Run("two restores in a row of the city, an arbiter", "custody", "ENTRIES=3 RESTORES=2 RESTORABLE=2 CLAIMS=1"),
    Run(
        "two restores in a row of the root",
        "custody",
        "ENTRIES=3 RESTORES=2 RESTORABLE=4 CLAIMS=1 ORIGIN0=2 NONCES_FALL",
    ),
    Run("two claims at once, no restore", "custody", "ENTRIES=5 RESTORES=0 CLAIMS=2"),
    Run(
        "root of four children, three of them witnesses, restored",
        "custody",
        "TREE=1 ENTRIES=2 RESTORES=1 RESTORABLE=16 CLAIMS=0 ORIGIN0=4",
    ),
    Run("two topics, the city between restored", "custody", "TOPICS=2 ENTRIES=4 RESTORES=1 RESTORABLE=2 CLAIMS=0"),
    Run("a restore nobody notices", "custody", "ENTRIES=4 RESTORES=0 SLIPS=1 CLAIMS=0"),
    Run("stream: both ends restored", "stream", "STATEMENTS=2"),
    Run("stream: a child's restore nobody notices", "stream", "STATEMENTS=2 SLIPS=1 RESTORES=0 PARENT_RESTORES=0"),
    Run("stream: a parent's restore nobody notices", "stream", "STATEMENTS=2 PARENT_SLIPS=1 PARENT_RESTORES=0"),
    Run("sessions: child and parent restart", "session", "REQUESTS=3 REPLIES=4"),
    Run("sessions: a clone", "session", "REQUESTS=3 REPLIES=4 CLONES=1 RESTARTS=0 PARENT_RESTARTS=0"),
)

LARGE = (
    Run("one restore of anybody, four entries", "custody", "ENTRIES=4 RESTORES=1 CLAIMS=1", size="large"),
    Run("one restore of anybody, five entries", "custody", "ENTRIES=5 RESTORES=1 CLAIMS=1", size="large"),
    Run(
        "two restores of the county, four entries",
        "custody",
        "ENTRIES=4 RESTORES=2 RESTORABLE=1 CLAIMS=1",
        size="large",
    ),
    Run(
        "two restores of the city, four entries",
        "custody",
        "ENTRIES=4 RESTORES=2 RESTORABLE=2 CLAIMS=1 NONCES_FALL",
        size="large",
    ),
    Run(
        "four nodes, the city of the county restored",
        "custody",
        "TREE=2 ENTRIES=4 RESTORES=1 RESTORABLE=2 CLAIMS=1",
        size="large",
    ),
    Run(
        "root of four children, three entries",
        "custody",
        "TREE=1 ENTRIES=3 RESTORES=1 RESTORABLE=16 CLAIMS=0 ORIGIN0=4",
        size="large",
    ),
    Run("a restore nobody notices, and a claim", "custody", "ENTRIES=4 RESTORES=0 SLIPS=1 CLAIMS=1", size="large"),
    Run("sessions: one request more", "session", "REQUESTS=4 REPLIES=4", size="large"),
)


def _control(name: str, model: Model, bounds: str, *switches: str) -> Run:
    return Run(name, model, " ".join((bounds, *switches)), fails=True)


# protocol section 3, in its order
FORBIDDEN = (
    _control("an offer that times out at the offerer", "custody", "ENTRIES=4 RESTORES=0 CLAIMS=0", "OFFER_TIMES_OUT"),
    _control("a restored node that writes at once", "custody", "ENTRIES=4 CLAIMS=0 OLD_INCARNATION", "WRITES_AT_ONCE"),
    _control("healing from the parent only", "custody", "ENTRIES=4 CLAIMS=0 OLD_INCARNATION", "HEAL_PARENT_ONLY"),
    _control(
        "healing from all, then writing under the old incarnation",
        "custody",
        "ENTRIES=4 CLAIMS=0 OLD_INCARNATION",
        "HEAL_ALL_THEN_OLD_INCARNATION",
    ),
    _control(
        "a restored custodian that reopens its own term",
        "custody",
        "ENTRIES=4 CLAIMS=0 WRITERS_BY_NODE",
        "REOPEN_OWN_TERM",
    ),
    _control("a restored receiver that decides again", "custody", "ENTRIES=4 CLAIMS=0", "RECEIVER_DECIDES_AGAIN"),
    _control(
        "a restored arbiter that claims under its old incarnation",
        "custody",
        "ENTRIES=4 CLAIMS=2",
        "ARBITER_UNDER_OLD_INCARNATION",
    ),
    _control("trusting a clone", "session", "REQUESTS=3 REPLIES=4 CLONES=1", "TRUST_A_CLONE"),
    _control(
        "a restored node barred only until the next claim",
        "custody",
        "ENTRIES=6 CLAIMS=2 RESTORABLE=1 OLD_INCARNATION",
        "BARRED_UNTIL_CLAIM",
    ),
    _control(
        "offers that do not name the incarnation",
        "custody",
        "ENTRIES=4 CLAIMS=0 WRITERS_BY_NODE",
        "OFFER_NAMES_NO_INCARNATION",
    ),
    _control(
        "a claim's term without the claimant's incarnation",
        "custody",
        "ENTRIES=4 CLAIMS=2 WRITERS_BY_NODE",
        "CLAIM_WITHOUT_INCARNATION",
    ),
    _control(
        "a grant not bound to the nonce of one restore",
        "custody",
        "ENTRIES=4 CLAIMS=2 RESTORES=2 RESTORABLE=2 WRITERS_BY_NODE",
        "GRANT_WITHOUT_NONCE",
    ),
    _control(
        "no claim from one's own offer to a dead incarnation",
        "custody",
        "ENTRIES=4 CLAIMS=0 ORIGIN0=2",
        "NO_CLAIM_FROM_OWN_OFFER",
    ),
    _control(
        "a witness's consent to the number in place of the nonce",
        "custody",
        "ENTRIES=4 CLAIMS=2 RESTORES=3 RESTORABLE=6 ORIGIN0=2 WRITERS_BY_NODE",
        "WITNESS_NUMBER",
    ),
    _control(
        "a witness's consent to number and head in place of the nonce",
        "custody",
        "ENTRIES=4 CLAIMS=2 RESTORES=3 RESTORABLE=6 ORIGIN0=2 WRITERS_BY_NODE",
        "WITNESS_NUMBER_AND_HEAD",
    ),
)

_SLIP = "ENTRIES=4 RESTORES=0 SLIPS=1 CLAIMS=0"
GUARDS = (
    _control("R3: accepting what one declined", "custody", "ENTRIES=4 RESTORES=0 CLAIMS=0", "ACCEPTS_AFTER_DECLINE"),
    _control(
        "R5: a decline of another offer ends this one",
        "custody",
        "ENTRIES=6 RESTORES=0 CLAIMS=0",
        "ANY_DECLINE_WILL_DO",
    ),
    _control("R13: a number not above those known", "custody", "ENTRIES=3 CLAIMS=0 NONCES_FALL", "NUMBER_NOT_RAISED"),
    _control(
        "R11: the root cannot claim from itself",
        "custody",
        "ENTRIES=3 CLAIMS=0 ORIGIN0=2",
        "NO_CLAIM_FROM_EARLIER_SELF",
    ),
    _control(
        "R11: a reader holds an offer to a dead incarnation", "custody", "ENTRIES=4 CLAIMS=0 HELD", "DEAD_OFFER_HELD"
    ),
    _control(
        "R1: a claim is held where its reason is not known yet",
        "custody",
        "ENTRIES=3 CLAIMS=1 ORIGIN0=2 HELD",
        "CLAIM_NEEDS_NEWER_ROSTER",
    ),
    _control("R9: ties go to the first to arrive", "custody", _SLIP, "TIES_BY_ARRIVAL"),
    _control("R9: who knows the proof goes on as before", "custody", _SLIP, "NO_FREEZE"),
    _control("R9: the rival is held for good, and what stands on it", "custody", _SLIP, "HELD", "RIVAL_HELD"),
    _control("R15: a gap in the stream is skipped", "stream", "STATEMENTS=3", "NO_GAP_CHECK"),
    _control("R15: a lower peer is not fed again", "stream", "PARENT_SLIPS=1 RESTORES=0", "NEVER_FEEDS_AGAIN"),
    _control("R15: another hash at one seq passes", "stream", "SLIPS=1 RESTORES=0", "NO_HASH_CHECK"),
    _control("R15: a peer that knows more is ignored", "stream", "SLIPS=1 RESTORES=0", "IGNORES_PEER_KNOWS_MORE"),
    _control("R10: streams go on over a new incarnation", "stream", "STATEMENTS=3", "STREAM_NOT_BEGUN_ANEW"),
    _control("R11: an older incarnation's stream is taken", "stream", "STATEMENTS=3", "OLDER_STREAM_TAKEN"),
    _control("R12: what came while healing is not passed on", "stream", "STATEMENTS=3", "FORGETS_WHAT_WAITED"),
    _control(
        "R15: a later incarnation than known is refused unread",
        "stream",
        "PARENT_SLIPS=1 PARENT_RESTORES=0",
        "LATER_INCARNATION_REFUSED",
    ),
    _control("replay: a challenge is good twice", "session", "REQUESTS=4", "CHALLENGE_NOT_USED_UP"),
    _control("replay: no challenge is needed", "session", "REQUESTS=4", "NO_CHALLENGE_NEEDED"),
    _control("R11: a request without a challenge counts", "session", "REQUESTS=4", "ANY_REQUEST_COUNTS"),
    _control("R11: an instance heard late replaces a newer one", "session", "REQUESTS=4", "UNKNOWN_ALWAYS_REPLACES"),
    _control(
        "R11: a late reply of a replaced parent is a clone's", "session", "REQUESTS=4", "ANY_REPLY_OF_A_REPLACED_ONE"
    ),
)
