"""Which key of a node is the present one hangs on where its parent named it, not on what came first (SPEC 7.2)."""

from itertools import permutations

import pytest

from schemas.ids import Incarnation, Tier
from schemas.registry import Card
from sync.keys import b64, load_key
from sync.roster import Member, Named
from tests.wire import cast as c

FIRST, SECOND = Incarnation(1, "a" * 32), Incarnation(2, "b" * 32)


def _named(inc: Incarnation, seq: int, key: str, revokes: bool = False) -> Named:
    public = c.public(key)
    card = Card.model_construct(
        code=c.COUNTY, name="", tier=Tier("county"), url=f"http://{key}", key=b64(public), box=""
    )
    return Named((inc, seq), card, load_key(c.COUNTY, public), revokes)


ENROLLED = _named(FIRST, 1, "one")
BORN = Member(ENROLLED.card, c.CITY, ((FIRST, ENROLLED.key.kid),), (ENROLLED.key,), "0" * 64, named=(ENROLLED,))


@pytest.mark.parametrize(
    ("said", "keys", "revoked"),
    [
        ([_named(FIRST, 2, "two"), _named(SECOND, 0, "three", True)], ["one", "two", "three"], ["two"]),
        (
            [_named(FIRST, 2, "two", True), _named(SECOND, 0, "three"), _named(SECOND, 1, "two", True)],
            ["one", "three", "two"],
            ["three"],
        ),
        (
            [
                _named(FIRST, 2, "two", True),
                *(_named(SECOND, n, key, n == 0) for n, key in enumerate(["two", "three"])),
            ],
            ["one", "two", "three"],
            ["one"],
        ),
    ],
    ids=["two lives", "said again last", "said again in order"],
)
def test_in_whatever_order_its_names_come_a_node_has_the_same(
    said: list[Named], keys: list[str], revoked: list[str]
) -> None:
    for order in permutations(said):
        member = BORN
        for one in order:
            member = member.renamed(one)
        assert [key.kid for key in member.keys] == [c.kid(name) for name in keys]
        assert list(member.revoked) == [c.kid(name) for name in revoked]
        assert member.card.url == f"http://{keys[-1]}"
