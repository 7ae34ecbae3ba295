"""One node as its clerk uses it: a small HTTP client that never gives up on a node that is down for a while.

Every POST carries an Idempotency-Key made once, so asking again after a lost answer does nothing twice.
"""

import json
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from node.clock import Clock

PATIENCE_S = 120
"""How long a node may be away, and how long news may take on its way."""
POLL_S = 0.05
RETRY_S = 0.2
TIMEOUT_S = 60
PAGE = 200
NUDGE_AFTER_S = 3
AGAIN = frozenset({429, 502, 503, 504})

Answer = dict[str, Any]


class GaveUp(Exception):
    """A node or an expected state did not come within the time allowed."""


class Refused(Exception):
    """A node refused a command that had to succeed."""

    def __init__(self, code: str, status: int, problem: Answer) -> None:
        self.status = status
        self.type = str(problem.get("type", "")).rpartition(":")[2]
        super().__init__(f"{code}: HTTP {status} {self.type}: {problem.get('detail', '')}")


class Office:
    """A node's API as one person uses it."""

    def __init__(self, code: str, name: str, url: str, clock: Clock) -> None:
        self.code = code
        self.name = name
        self.url = url
        self._clock = clock
        self._netloc = urlsplit(url).netloc
        self._conn: HTTPConnection | None = None
        self._token = ""
        self._login = ("", "")

    def sign_in(self, name: str, password: str) -> None:
        self._login = (name, password)
        self._token = ""
        body = json.dumps({"username": name, "password": password}).encode()
        self._token = self._call("POST", "/api/v1/sessions", body, {"Content-Type": "application/json"})["token"]

    def get(self, path: str, **query: Any) -> Answer:
        return self._call("GET", path + ("?" + urlencode(query) if query else ""), None, {})

    def all_topics(self) -> list[Answer]:
        """Every topic that the node knows."""
        found: list[Answer] = []
        query: dict[str, Any] = {"limit": PAGE}
        while True:
            page = self.get("/api/v1/topics", **query)
            found += page["items"]
            if not page["next"]:
                return found
            query["cursor"] = page["next"]

    def own_topics(self) -> int:
        """How many topics began at this node."""
        return sum(view["origin"] == self.code for view in self.all_topics())

    def post(self, path: str, body: Answer) -> Answer:
        """One command, done once however often it has to be asked. Raises Refused, GaveUp."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": self._clock.token()}
        return self._call("POST", path, json.dumps(body).encode(), headers)

    def upload(self, path: str, name: str, content: bytes) -> Answer:
        """A file as a browser's form sends it."""
        edge = self._clock.token()
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{quote(name)}"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={edge}",
            "Idempotency-Key": self._clock.token(),
        }
        return self._call("POST", path, body, headers)

    def mode(self) -> str | None:
        """`ready` or `healing`; None while the node does not answer. Asks once."""
        try:
            status, answer = self._once("GET", "/healthz", None, {})
        except (OSError, HTTPException, ValueError):
            return None
        mode: str | None = answer.get("mode") if status == 200 else None
        return mode

    def exchange_now(self) -> None:
        """Press the button; whether it helps is seen elsewhere."""
        try:
            _, node = self._once("GET", "/api/v1/node", None, self._bearer())
            if node.get("parent"):
                self._once("POST", f"/api/v1/links/{node['parent']}/exchange", b"{}", self._bearer())
        except (OSError, HTTPException, ValueError):
            return

    def close(self) -> None:
        """Hang up."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        deadline = self._clock.monotonic_s() + PATIENCE_S
        signed_in_again = False
        while True:
            try:
                status, answer = self._once(method, path, body, {**headers, **self._bearer()})
            except (OSError, HTTPException, ValueError) as error:
                status, answer = 503, {"detail": type(error).__name__}
            if status < 300:
                return answer
            if status == 401 and self._token and not signed_in_again:
                signed_in_again = True
                self.sign_in(*self._login)
            elif status not in AGAIN:
                raise Refused(self.code, status, answer)
            elif self._clock.monotonic_s() > deadline:
                raise GaveUp(f"{self.code} 没有恢复 / did not come back within {PATIENCE_S} s ({answer.get('detail')})")
            else:
                time.sleep(RETRY_S)

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Answer]:
        conn = self._conn or HTTPConnection(self._netloc, timeout=TIMEOUT_S)
        self._conn = None
        try:
            conn.request(method, path, body, headers)
            reply = conn.getresponse()
            raw = reply.read()
        except BaseException:
            conn.close()
            raise
        self._conn = conn
        answer = json.loads(raw) if raw else {}
        return reply.status, answer if isinstance(answer, dict) else {}


class Waiting:
    """Waits for what other nodes have to bring, and notices when one of them is away."""

    def __init__(self, offices: list[Office], clock: Clock) -> None:
        self._offices = offices
        self._clock = clock

    def until(self, what: str, look: Callable[[], Any]) -> Any:
        """The first true value of `look`. Raises GaveUp; time in which a node is away does not count."""
        started = self._clock.monotonic_s()
        deadline, next_nudge = started + PATIENCE_S, started + NUDGE_AFTER_S
        away: dict[str, float] = {}
        while True:
            found = look()
            if found:
                return found
            now = self._clock.monotonic_s()
            if now > deadline:
                raise GaveUp(f"等不到 / waited {PATIENCE_S} s in vain: {what}")
            if now > next_nudge:
                if self._probe(away):
                    deadline = self._clock.monotonic_s() + PATIENCE_S
                next_nudge = self._clock.monotonic_s() + NUDGE_AFTER_S
            time.sleep(POLL_S)

    def _probe(self, away: dict[str, float]) -> bool:
        """Whether a node is away; the others are asked to exchange at once. Raises GaveUp for one away too long."""
        for office in self._offices:
            now = self._clock.monotonic_s()
            if office.mode() is not None:
                away.pop(office.code, None)
                office.exchange_now()
            elif now - away.setdefault(office.code, now) > PATIENCE_S:
                raise GaveUp(f"{office.code} 没有恢复 / did not come back within {PATIENCE_S} s")
        return bool(away)
