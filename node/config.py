"""Settings, read once at start from the environment (LIANDONG_*) and the command line."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting has a default that is right for one clerk's county office."""

    model_config = SettingsConfigDict(env_prefix="LIANDONG_", frozen=True, extra="ignore")

    data: Path = Path("liandong-data")
    """Folder of this node: keys, guard, and the embedded database."""
    database_url: str = ""
    """SQLAlchemy URL; empty: SQLite inside `data`."""
    allowed_networks: tuple[str, ...] = (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
    )
    """Networks a parent may be called in, beside the address its invitation names."""
    ca_file: Path | None = None
    """Certificates (PEM) of the authority that signed the parent's, where the common list does not know it."""
    request_bytes_max: Annotated[int, Field(ge=64 * 1024)] = 32 * 1024 * 1024
    """Largest upload."""
    json_bytes_max: Annotated[int, Field(ge=1024)] = 1024 * 1024
    """Largest JSON body of the operators' API."""
    disk_reserve_bytes: Annotated[int, Field(ge=0)] = 16 * 1024 * 1024
    """New work is refused when less than this is free."""
    sign_after_contact: bool = False
    """Sign nothing after a start until the parent was met, by a root any child: so a restore that brought its
    guard back shows as well."""
    claim_ask_s: Annotated[int, Field(ge=0)] = 120
    """How long an arbiter waits for what the others know of a topic before it claims it."""
    session_idle_s: Annotated[int, Field(ge=60)] = 8 * 3600
    session_absolute_s: Annotated[int, Field(ge=60)] = 7 * 24 * 3600
    login_failures_max: Annotated[int, Field(ge=3)] = 10
    login_lock_s: Annotated[int, Field(ge=1)] = 300
    login_address_failures_max: Annotated[int, Field(ge=10)] = 200
    """Wrong passwords from one address within `login_lock_s`, whatever the names."""
    step_up_s: Annotated[int, Field(ge=60)] = 15 * 60
    """How long after the password was given the dangerous verbs are open."""
    answer_days: Annotated[int, Field(ge=1, le=250)] = 5
    """Working days the other office is given to answer an offer, unless a person says otherwise."""
    handle_days: Annotated[int, Field(ge=1, le=250)] = 20
    """Working days a matter is given, unless a person says otherwise; a citizen is promised this day."""
    warn_days: Annotated[int, Field(ge=0, le=60)] = 3
    """Working days before a term is over that supervisor and leader are told."""
    profile: Literal["asvs", "mlps3"] = "asvs"
    """Which rules passwords and roles follow: OWASP ASVS, or GB/T 22239 level 3 (docs/people.md)."""
    second_factor: Literal["optional", "required"] = "optional"
    """Whether every account must have one; `mlps3` always asks."""
    password_days: Annotated[int, Field(ge=1)] = 90
    """Under `mlps3`: after so many days a password must be changed."""
    proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks whose word on a caller's address (X-Forwarded-For) is taken: one's own reverse proxy."""

    @field_validator("allowed_networks", "proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @property
    def url(self) -> str:
        """The database's SQLAlchemy URL, the driver always named."""
        if not self.database_url:
            return f"sqlite:///{self.data / 'node.db'}"
        for short in ("postgresql://", "postgres://"):
            if self.database_url.startswith(short):
                return "postgresql+psycopg://" + self.database_url.removeprefix(short)
        return self.database_url
