"""Files that pages load: our stylesheet and module, and htmx as its package carries it; nothing comes from elsewhere.

Each is addressed by the hash of its content, so a browser keeps it for ever and a new version is another address.
Read and compressed once.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from node.domain.refusals import NotFound

FOREVER = "public, max-age=31536000, immutable"
HASH_CHARS = 16
_MEDIA = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_HTMX = "htmx.min.js"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    name: str
    media: str
    content: bytes
    zipped: bytes
    hash: str

    @property
    def url(self) -> str:
        return f"/static/{self.hash}/{self.name}"


def asset_url(name: str) -> str:
    """The address of a file by its plain name."""
    return assets()[name].url


def serve_asset(request: Request) -> Response:
    """`/static/HASH/NAME`. Raises NotFound, also for a hash that is not the file's of today."""
    found = assets().get(request.path_params["name"])
    if found is None or found.hash != request.path_params["hash"]:
        raise NotFound
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding", "Cross-Origin-Resource-Policy": "same-origin"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(found.zipped, media_type=found.media, headers=headers)
    return Response(found.content, media_type=found.media, headers=headers)


@cache
def assets() -> dict[str, Asset]:
    """All of them by name."""
    own = [(file.name, file.read_bytes()) for file in (files("node.web") / "static").iterdir()]
    htmx = (files("js_lib_htmx") / "static" / "htmx" / _HTMX).read_bytes()
    return {name: _asset(name, content) for name, content in (*own, (_HTMX, htmx))}


def _asset(name: str, content: bytes) -> Asset:
    media = _MEDIA["." + name.rpartition(".")[2]]
    digest = hashlib.sha256(content).hexdigest()[:HASH_CHARS]
    return Asset(name, media, content, gzip.compress(content, mtime=0), digest)
