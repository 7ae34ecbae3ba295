"""Against forms that another site sends in a person's name.

Every form carries a token made from the visitor's own secret (the session's token, before signing in a guest's), a
fresh salt each time, so that a compressed page never shows the same token twice. Besides, the browser has to say that
the form is from here, where it says anything at all; the cookies are SameSite.
"""

import hashlib
import hmac
import re
from urllib.parse import urlsplit

from starlette.requests import Request

from node.clock import Clock
from node.domain.refusals import NotAllowed

FIELD = "csrf"
SALT_BYTES = 16
_TOKEN = re.compile(rf"([0-9a-f]{{{2 * SALT_BYTES}}})([0-9a-f]{{64}})")


class ForeignForm(NotAllowed):
    """The form is not from this page, or too old; open the page again and repeat."""


def form_token(secret: str, clock: Clock) -> str:
    salt = clock.token(SALT_BYTES)
    return salt + _mac(secret, salt)


def check_token(secret: str | None, token: str) -> None:
    """Raises ForeignForm."""
    found = _TOKEN.fullmatch(token)
    if found is None or secret is None or not hmac.compare_digest(found[2], _mac(secret, found[1])):
        raise ForeignForm


def check_origin(request: Request) -> None:
    """Raises ForeignForm where the browser says that the form is another site's."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForeignForm
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForeignForm


def _mac(secret: str, salt: str) -> str:
    return hmac.new(secret.encode(), f"form {salt}".encode(), hashlib.sha256).hexdigest()
