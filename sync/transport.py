"""The HTTP client: one POST to one enrolled peer, within limits of time and size. The only importer of httpx.

The address is resolved once, checked against the networks the node may call, and called by number, so that a name
cannot change its meaning in between. No redirects, no proxy variables, no cookies.
"""

import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from sync.errors import TransportError

CONNECT_S = 10.0
REPLY_BYTES_MAX = 16 * 1024 * 1024
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "fe80::/10", "ff00::/8", "64:ff9b::/96", "2002::/16")
)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes


class TimedOut(TransportError):
    """The peer sent nothing for too long."""


class Transport:
    """Keeps connections to one peer open; not shared between threads."""

    def __init__(self, url: str, networks: Iterable[str], own_url: str, ca_file: Path | None = None) -> None:
        self._url = url
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)
        self._loopback = is_loopback(urlsplit(own_url).hostname or "")
        plain = {"accept-encoding": "identity"}
        self._client = httpx.Client(
            trust_env=False, follow_redirects=False, headers=plain, verify=_authorities(ca_file)
        )

    def post(self, path: str, body: bytes, media_type: str, silence_s: float) -> Reply:
        """Raises TransportError; TimedOut when no byte came for `silence_s`."""
        parts = urlsplit(self._url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = self._resolve(host, port)
        at = f"[{address}]" if isinstance(address, ipaddress.IPv6Address) else str(address)
        request = self._client.build_request(
            "POST",
            f"{parts.scheme}://{at}:{port}{parts.path.rstrip('/')}{path}",
            content=body,
            headers={"host": parts.netloc, "content-type": media_type},
            timeout=httpx.Timeout(silence_s, connect=CONNECT_S),
            extensions={"sni_hostname": host},
        )
        try:
            return self._send(request)
        except httpx.TimeoutException as error:
            raise TimedOut("timeout", type(error).__name__) from error
        except httpx.HTTPError as error:
            raise TransportError("unreachable", type(error).__name__) from error

    def close(self) -> None:
        self._client.close()

    def _send(self, request: httpx.Request) -> Reply:
        response = self._client.send(request, stream=True)
        try:
            received = bytearray()
            for piece in response.iter_raw():
                received += piece
                if len(received) > REPLY_BYTES_MAX:
                    raise TransportError("too-large", "reply")
        finally:
            response.close()
        return Reply(response.status_code, bytes(received))

    def _resolve(self, host: str, port: int) -> _Address:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise TransportError("unreachable", f"name: {type(error).__name__}") from error
        addresses = [ipaddress.ip_address(item[4][0]) for item in found]
        for address in addresses:
            if allowed(address, self._networks, self._loopback):
                return address
        raise TransportError("not-allowed", "address outside the allowed networks")


def _authorities(ca_file: Path | None) -> ssl.SSLContext | bool:
    """The common list of authorities, or the one of the node's own choice instead."""
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise TransportError("not-allowed", f"{ca_file}: no certificates ({type(error).__name__})") from error


def allowed(address: _Address, networks: Iterable[_Network], loopback: bool) -> bool:
    """Whether a node may call this address; loopback only for a node that is itself on loopback."""
    plain = getattr(address, "ipv4_mapped", None) or address
    if plain.is_loopback:
        return loopback
    if any(plain in network for network in _NEVER if network.version == plain.version):
        return False
    return any(plain in network for network in networks if network.version == plain.version)


def host_networks(url: str) -> tuple[str, ...]:
    """The addresses a trusted URL (an invitation's) resolves to, as networks of one; none if the name is unknown."""
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(parts.hostname or "", parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(ipaddress.ip_network(item[4][0])) for item in found))


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
