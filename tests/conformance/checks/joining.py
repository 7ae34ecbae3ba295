"""Joining (SPEC 9), with the kit as the one who asks."""

from collections.abc import Callable

from tests.conformance.child import JOIN, MEDIA, Child
from tests.conformance.kit import Stage, check, same
from tests.conformance.office import nonce
from tests.conformance.wire import bodies, joining, strict
from tests.conformance.wire.jose import Key, b64

BELOW = "below"
REFUSED = (400, 401, 403, 409, 413, 422)


def request(guest: Child, **other: object) -> bytes:
    return joining.request(guest.key, guest.token, guest.card, guest.drawn, **other)


def small_order(guest: Child) -> bytes:
    """A card whose key is the neutral point: one fixed signature would fit every message under it."""
    return request(guest, node={**guest.card, "key": b64(bytes([1]) + bytes(31))})


def under_another_key(guest: Child) -> bytes:
    return joining.request(Key.new(), guest.token, guest.card, guest.drawn)


def of_another_typ(guest: Child) -> bytes:
    payload = {"v": 1, "parent": guest.parent, "secret": guest.token["secret"], "node": guest.card, "nonce": nonce()}
    return strict.write(guest.key.jws(payload, bodies.SEAL))


WRONG: dict[str, Callable[[Child], bytes]] = {
    "with a secret it never gave": lambda guest: request(guest, secret="0" * 32),
    "for another parent": lambda guest: request(guest, parent="999999"),
    "for another code than invited": lambda guest: request(guest, node={**guest.card, "code": "620999"}),
    "for another tier than invited": lambda guest: request(guest, node={**guest.card, "tier": "province"}),
    "whose key is of small order": small_order,
    "whose key is no base64url": lambda guest: request(guest, node={**guest.card, "key": "=" * 43}),
    "signed under another key": under_another_key,
    "of another typ": of_another_typ,
    "with an unknown field": lambda guest: request(guest, extra=1),
    "with a field missing in its card": lambda guest: request(guest, node={"code": guest.code}),
    "of another version": lambda guest: request(guest, v=2),
    "that is no JSON": lambda guest: b"\x00\xff",
    "with a key twice": lambda guest: request(guest).replace(b'{"payload"', b'{"payload":"","payload"', 1),
    "above 65536 bytes": lambda guest: b" " * 65537,
}


def _wrong(name: str, make: Callable[[Child], bytes]) -> None:
    @check(BELOW, "9", f"a request to join {name} is refused")
    def run(stage: Stage) -> None:
        response = stage.guest.ask_to_join(make(stage.guest))
        assert response.status_code in REFUSED, f"status {response.status_code}"
        same(response.headers["content-type"], "application/problem+json")


for _name, _make in WRONG.items():
    _wrong(_name, _make)


@check(BELOW, "9", "the answer to joining verifies: anchor, the parent's key, itself enrolled with its card")
def joined(stage: Stage) -> None:
    same(stage.child.inc, [1, stage.child.drawn])


@check(BELOW, "9", "the same key asked again gets the same bytes")
def again(stage: Stage) -> None:
    child = stage.child
    first, second = (child.ask_to_join() for _ in range(2))
    same((first.status_code, second.status_code), (200, 200))
    assert first.content == second.content, "another answer"
    assert all(line in first.content for line in (child.store[child.token["anchor"]],)), "another registry"


@check(BELOW, "9", "a token that was used serves no other key")
def used(stage: Stage) -> None:
    thief = Key.new()
    card = {**stage.child.card, "key": b64(thief.public)}
    raw = joining.request(thief, stage.child.token, card, nonce())
    response = stage.client.post(JOIN, content=raw, headers={"content-type": MEDIA})
    assert response.status_code in REFUSED, f"status {response.status_code}"


@check(BELOW, "9", "streams in both directions start at 0 after joining")
def streams(stage: Stage) -> None:
    fresh = stage.spare()
    answer = fresh.post(fresh.compose())
    same((answer.status, answer.header["ack"]), (428, fresh.link.out.at(0)))
