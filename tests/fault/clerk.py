"""A clerk's way to one node: plain HTTP that says what came back, and gives up at once where nothing does."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

REPLY_S = 5.0
NAME, PASSWORD = "clerk", "correct horse battery staple"
Answer = dict[str, Any]


class Unanswered(Exception):
    """A node that should answer does not."""


@dataclass
class Clerk:
    """`patience_s`: how long an answer may take."""

    host: str
    port: int
    patience_s: float = REPLY_S
    _token: str = ""
    _conn: HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Answer | None = None, key: str = "") -> tuple[int, Answer]:
        """Status and answer; status 0 where none came."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        if key:
            headers["Idempotency-Key"] = key
        try:
            conn = self._conn or HTTPConnection(self.host, self.port, timeout=self.patience_s)
            self._conn = None
            conn.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            reply = conn.getresponse()
            raw = reply.read()
        except (OSError, HTTPException):
            return 0, {}
        self._conn = conn
        return reply.status, json.loads(raw) if raw else {}

    def sign_in(self) -> bool:
        status, said = self.ask("POST", "/api/v1/sessions", {"username": NAME, "password": PASSWORD})
        self._token = said.get("token", "")
        return status == 201

    def all(self, path: str) -> list[Answer]:
        """Every item of a list."""
        items: list[Answer] = []
        cursor = ""
        while True:
            status, said = self.ask("GET", f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
            if status != 200:
                raise Unanswered(f"{self.host}:{self.port} {path}: {status} {said}")
            items += said["items"]
            if said["next"] is None:
                return items
            cursor = f"&cursor={said['next']}"

    def hang_up(self) -> None:
        if self._conn is not None:
            self._conn.close()
        self._conn = None
