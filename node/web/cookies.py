"""The cookies of a node: who is signed in, a guest's secret, the language, one message for the next page.

Each is named after the node: cookies know hosts and no ports, and on one machine several nodes may be open at once.
Where the node's own address is https they carry the prefix `__Host-`, which a browser takes only over TLS, for the
whole host and from this host alone. A node that is addressed over plain http (this machine, an office's own cable)
cannot have the prefix, so its cookies go without; that the address says so is the operator's decision, never the
request's.
"""

import json
from collections.abc import Mapping
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from node.context import Context
from sync.errors import SyncError
from sync.keys import b64, unb64

Name = Literal["session", "guest", "lang", "flash"]
LANG_S = 365 * 24 * 3600
FLASH_S = 60
FLASH_CHARS_MAX = 1500


def is_secure(ctx: Context) -> bool:
    return ctx.identity.url.startswith("https://")


def cookie_name(ctx: Context, name: Name) -> str:
    prefix = "__Host-" if is_secure(ctx) else ""
    return f"{prefix}liandong-{ctx.identity.code}-{name}"


def read_cookie(request: Request, ctx: Context, name: Name) -> str | None:
    return request.cookies.get(cookie_name(ctx, name))


def set_cookie(response: Response, ctx: Context, name: Name, value: str, max_age_s: int | None = None) -> None:
    """`max_age_s` None: until the browser is closed."""
    response.set_cookie(
        cookie_name(ctx, name), value, max_age_s, path="/", secure=is_secure(ctx), httponly=True, samesite="lax"
    )


def drop_cookie(response: Response, ctx: Context, name: Name) -> None:
    response.delete_cookie(cookie_name(ctx, name), path="/", secure=is_secure(ctx), httponly=True, samesite="lax")


def set_flash(response: Response, ctx: Context, key: str, values: Mapping[str, object]) -> None:
    """Words for the page that comes next: their key and what is put into them."""
    set_cookie(response, ctx, "flash", b64(json.dumps([key, dict(values)]).encode()), FLASH_S)


def read_flash(request: Request, ctx: Context) -> tuple[str, dict[str, str]] | None:
    """None also for what was never set by us: it is shown as text, and known words only."""
    text = read_cookie(request, ctx, "flash")
    if text is None or len(text) > FLASH_CHARS_MAX:
        return None
    try:
        key, values = json.loads(unb64(text))
        return str(key), {str(name): str(value) for name, value in values.items()}
    except (ValueError, TypeError, AttributeError, SyncError, RecursionError):
        return None
