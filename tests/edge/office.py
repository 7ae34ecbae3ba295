"""One office for tests of its API: a city node below a province, the app over it, a clerk and an admin signed in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx2 import Response
from starlette.testclient import TestClient

from node.app import create_app
from node.context import Context
from node.service.users import add_user
from schemas.ids import Tier
from tests import nodes

PASSWORD = "联动联动联动联动"
UNKNOWN = "0" * 64
TOPIC = {"title": "老旧小区加装电梯", "text": "三号楼没有电梯。", "areas": ["620102"]}
ROLES = {"李丹": ["clerk"], "王强": ["admin"]}
URN = "urn:liandong:problem:"


@dataclass
class Office:
    """`ctx` is the city's context, `above` the province's; `clerk` and `admin` are headers."""

    ctx: Context
    above: Context
    client: TestClient
    clerk: dict[str, str]
    admin: dict[str, str]

    def sign_in(self, name: str, password: str = PASSWORD) -> Response:
        return self.client.post("/api/v1/sessions", json={"username": name, "password": password})

    def get(self, path: str, **options: Any) -> Response:
        return self.client.get(f"/api/v1{path}", headers=self.clerk, **options)

    def post(self, path: str, body: Any, key: str | None = None) -> Response:
        headers = {**self.clerk, **({"Idempotency-Key": key} if key else {})}
        return self.client.post(f"/api/v1{path}", json=body, headers=headers)

    def send(self, path: str, raw: bytes, **headers: str) -> Response:
        """Raw bytes, as JSON unless `content_type` says otherwise."""
        named = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.client.post(f"/api/v1{path}", content=raw, headers={**self.clerk, **named})

    def open(self, **fields: Any) -> dict[str, Any]:
        response = self.post("/topics", TOPIC | fields)
        assert response.status_code == 201, response.text
        found: dict[str, Any] = response.json()
        return found


def make_office(folder: Path, **settings: Any) -> Office:
    above = nodes.make(folder, "620000", Tier.PROVINCE, root=True)
    ctx = nodes.join(above, nodes.make(folder, "620100", Tier.CITY, **settings))
    for name, roles in ROLES.items():
        add_user(ctx, name, PASSWORD, roles)
    office = Office(ctx, above, TestClient(create_app(ctx)), {}, {})
    for name, headers in zip(ROLES, (office.clerk, office.admin), strict=True):
        headers["Authorization"] = f"Bearer {office.sign_in(name).json()['token']}"
    return office


def problem(response: Response) -> str:
    """The name of the problem a response is."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    found = response.json()
    assert found["status"] == response.status_code
    assert found["title"]
    assert found["detail"]
    name: str = found["type"]
    return name.removeprefix(URN)
