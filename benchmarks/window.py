"""A clerk's browser for measurements: signs in at the console and fetches pages."""

import http.client
import re
import time
from urllib.parse import urlencode, urlsplit

from benchmarks.field import PASSWORD


class Window:
    """A clerk's browser, signed in; asks as browsers do, compressed."""

    def __init__(self, url: str, name: str = "bench") -> None:
        parts = urlsplit(url)
        self._conn = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._cookies: dict[str, str] = {}
        _, page, _ = self.get("/sign-in", packed=False)
        token = re.search(r'name="csrf" value="(\w+)"', page.decode())
        assert token is not None
        form = {"csrf": token[1], "username": name, "password": PASSWORD, "next": "/"}
        status, _, _ = self._ask("POST", "/sign-in", urlencode(form), False)
        assert status == 303, status

    def get(self, path: str, packed: bool = True) -> tuple[int, bytes, float]:
        """Status, bytes as they came, milliseconds."""
        return self._ask("GET", path, None, packed)

    def _ask(self, method: str, path: str, body: str | None, packed: bool) -> tuple[int, bytes, float]:
        headers = {"accept": "text/html", "cookie": "; ".join(f"{k}={v}" for k, v in self._cookies.items())}
        headers |= {"accept-encoding": "gzip"} if packed else {}
        headers |= {"content-type": "application/x-www-form-urlencoded"} if body else {}
        began = time.perf_counter()
        self._conn.request(method, path, body, headers)
        answer = self._conn.getresponse()
        raw = answer.read()
        taken = (time.perf_counter() - began) * 1000
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self._cookies[key] = rest.partition(";")[0]
        return answer.status, raw, taken
