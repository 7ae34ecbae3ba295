"""The operators' API of the node under test, as far as checks act on it."""

import time
from typing import Any

import httpx


class Operator:
    def __init__(self, url: str, name: str, password: str) -> None:
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=60)
        token = self._ask("POST", "/sessions", {"username": name, "password": password}, 201)["token"]
        self.client.headers["Authorization"] = f"Bearer {token}"

    def _ask(self, method: str, path: str, body: Any = None, *wanted: int) -> Any:
        response = self.client.request(method, f"/api/v1{path}", json=body)
        good = response.status_code in wanted if wanted else response.is_success
        assert good, f"{method} {path}: {response.status_code} {response.text[:300]}"
        return response.json() if response.content else None

    def get(self, path: str) -> Any:
        return self._ask("GET", path)

    def open(self, title: str = "老旧小区加装电梯", text: str = "三号楼没有电梯。", **other: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("POST", "/topics", {"title": title, "text": text, "areas": [], **other}, 201)
        return found

    def do(self, topic: str, verb: str, **form: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("POST", f"/topics/{topic}/{verb}", form)
        return found

    def topic(self, topic: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/topics/{topic}")
        return found

    def until(self, topic: str, seconds: float = 60, **wanted: Any) -> dict[str, Any]:
        """The topic as the node has it, once these of its fields are so."""
        end = time.monotonic() + seconds
        while True:
            try:
                found = self.topic(topic)
            except AssertionError:
                found = {}
            if found and all(found[name] == value for name, value in wanted.items()):
                return found
            shown = {name: found.get(name) for name in wanted}
            assert time.monotonic() < end, f"topic {topic[:8]}: {shown}, not {wanted}"
            time.sleep(0.05)

    def links(self) -> dict[str, dict[str, Any]]:
        return {link["code"]: link for link in self.get("/links")["items"]}

    def close(self) -> None:
        self.client.close()
