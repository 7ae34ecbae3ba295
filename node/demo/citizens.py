"""Citizens at the public door: they scan a printed code, fill in the form, and keep the address of their receipt."""

import re
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

from node.demo.generated import MATTERS, SURNAMES
from node.demo.office import TIMEOUT_S, Refused

_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]+)"')


def raise_matter(code_url: str, n: int) -> str:
    """The n-th matter, raised by a printed code; the address of its receipt. Raises Refused, OSError."""
    parts = urlsplit(code_url)
    page, cookies = _ask(parts.netloc, "GET", parts.path)
    token = _TOKEN.search(page)
    _, title, text = MATTERS[(n * 5 + 3) % len(MATTERS)]
    said = {
        "csrf": token[1] if token else "",
        "text": f"{title.format(place='我家附近')}\n{text}",
        "place": f"{n + 3} 号楼旁",
        "name": SURNAMES[n % len(SURNAMES)] + "女士",
        "phone": f"1390000{n:04d}",
    }
    answer, _ = _ask(parts.netloc, "POST", parts.path, urlencode(said), cookies)
    return f"{parts.scheme}://{parts.netloc}{urlsplit(answer).path}"


def _ask(netloc: str, method: str, path: str, body: str | None = None, cookies: str = "") -> tuple[str, str]:
    """(the page, or where it sends its reader, and the cookies it set)."""
    conn = HTTPConnection(netloc, timeout=TIMEOUT_S)
    headers = {"Accept": "text/html"} | ({"Cookie": cookies} if cookies else {})
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        conn.request(method, path, body, headers)
        reply = conn.getresponse()
        page = reply.read().decode()
        if reply.status not in (200, 303):
            raise Refused(netloc, reply.status, {"type": ":public-page", "detail": path})
        given = [line.partition(";")[0] for line in reply.headers.get_all("Set-Cookie") or []]
        return reply.headers.get("Location") or page, "; ".join(given)
    finally:
        conn.close()
