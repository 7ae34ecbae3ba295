"""What whoever has no account may do: raise a matter, say something about it, rate the answer, ask to reopen.

Nothing here is signed but a rating, and nothing needs more than the secret of a receipt or a printed code.
"""

from collections.abc import Sequence

from node.context import Context
from node.domain.refusals import NotFound, TooManyRequests
from node.service import follow
from node.service.commit import write
from node.service.drafts import CITIZEN, keep
from node.service.follow import Story
from node.service.photos import cleaned
from node.service.posters import poster
from node.service.receipt import topic_receipt
from node.service.throttle import bucket
from schemas.drafts import PHOTOS_MAX, Kept, MatterForm, RatingForm, WordForm

MISSES_BURST = 20
MISSES_PER_S = 1 / 60
ALL_MISSES_BURST = 500
ALL_MISSES_PER_S = 1.0
POSTER_BURST = 60
POSTER_PER_S = 1 / 30


def raise_matter(ctx: Context, form: MatterForm, pictures: Sequence[bytes], code: str | None) -> Kept:
    """Keep a matter for a clerk. Raises NotFound, Invalid, TooLarge, TooManyRequests, Unavailable, StorageFull."""
    if code is not None:
        bucket(ctx, "matters by one code", POSTER_PER_S, POSTER_BURST).take(code)
        poster(ctx, code)
    photos = [cleaned(picture) for picture in pictures[:PHOTOS_MAX]]
    with write(ctx) as batch:
        batch.actor = CITIZEN
        return keep(batch, form, CITIZEN, photos, code)


def find(ctx: Context, secret: str, address: str) -> Story:
    """The story behind a secret. Whoever guesses is soon told to wait. Raises NotFound, TooManyRequests."""
    _check_guesses(ctx, address)
    try:
        return follow.story(ctx, secret)
    except NotFound:
        _count_guess(ctx, address)
        raise


def comment(ctx: Context, secret: str, form: WordForm, address: str) -> None:
    """Raises NotFound, TooManyRequests."""
    topic = _topic(ctx, secret, address)
    with write(ctx) as batch:
        batch.actor = CITIZEN
        follow.comment(batch, topic, form)


def comment_by_code(ctx: Context, code: str, form: WordForm) -> None:
    """About the topic a printed code is for. Raises NotFound, TooManyRequests."""
    bucket(ctx, "words by one code", POSTER_PER_S, POSTER_BURST).take(code)
    topic = poster(ctx, code).topic
    if topic is None:
        raise NotFound
    with write(ctx) as batch:
        batch.actor = CITIZEN
        follow.comment(batch, topic, form, code)


def rate(ctx: Context, secret: str, form: RatingForm, address: str) -> None:
    """Raises NotFound, AlreadyTaken, Healing, TooManyRequests."""
    topic = _topic(ctx, secret, address)
    with write(ctx) as batch:
        batch.actor = CITIZEN
        follow.rate(batch, topic, form)


def ask_to_reopen(ctx: Context, secret: str, form: WordForm, address: str) -> None:
    """Raises NotFound, AlreadyTaken, TooManyRequests."""
    topic = _topic(ctx, secret, address)
    with write(ctx) as batch:
        batch.actor = CITIZEN
        follow.ask_to_reopen(batch, topic, form)


def proof(ctx: Context, secret: str, address: str) -> tuple[str, bytes]:
    """(file name, .tlog-proof) that the matter was accepted. Raises NotFound, NotWitnessed, TooManyRequests."""
    return topic_receipt(ctx, _topic(ctx, secret, address))


def _topic(ctx: Context, secret: str, address: str) -> str:
    _check_guesses(ctx, address)
    try:
        return follow.topic_of(ctx, secret)
    except NotFound:
        _count_guess(ctx, address)
        raise


def _check_guesses(ctx: Context, address: str) -> None:
    bucket(ctx, "guesses", MISSES_PER_S, MISSES_BURST).check(address)


def _count_guess(ctx: Context, address: str) -> None:
    """One more wrong secret; where very many addresses guess together, wrong ones wait but right ones do not."""
    for name, rate_s, burst, key in (
        ("guesses", MISSES_PER_S, MISSES_BURST, address),
        ("all guesses", ALL_MISSES_PER_S, ALL_MISSES_BURST, ""),
    ):
        try:
            bucket(ctx, name, rate_s, burst).take(key)
        except TooManyRequests:
            if key == "":
                raise
