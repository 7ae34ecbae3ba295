"""The HTTP client of a child: whom it calls, whose certificates it takes, what it makes of a peer that is none."""

import ipaddress
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sync.errors import TransportError
from sync.transport import Transport, allowed

PRIVATE = tuple(ipaddress.ip_network(network) for network in ("10.0.0.0/8", "192.168.0.0/16", "fc00::/7"))


@pytest.mark.parametrize(
    ("address", "loopback", "expected"),
    [
        ("10.1.2.3", False, True),
        ("192.168.4.4", False, True),
        ("fd00::1", False, True),
        ("8.8.8.8", False, False),
        ("127.0.0.1", False, False),
        ("127.0.0.1", True, True),
        ("::1", False, False),
        ("::ffff:127.0.0.1", False, False),
        ("::ffff:10.0.0.1", False, True),
        ("169.254.169.254", True, False),
        ("0.0.0.0", True, False),
        ("224.0.0.1", True, False),
        ("fe80::1", True, False),
        ("64:ff9b::a00:1", True, False),
    ],
)
def test_address_is_called_only_inside_the_allowed_networks(address: str, loopback: bool, expected: bool):
    assert allowed(ipaddress.ip_address(address), PRIVATE, loopback) is expected


def test_authority_of_ones_own_is_trusted_when_named_and_only_then(tmp_path: Path):
    pem = _certificate(tmp_path)
    server = HTTPServer(("127.0.0.1", 0), _Echo)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://localhost:{server.server_port}"
    named = Transport(url, (), url, pem)
    unnamed = Transport(url, (), url)
    try:
        assert named.post("/", b"x", "text/plain", 5).body == b"x"
        with pytest.raises(TransportError):
            unnamed.post("/", b"x", "text/plain", 5)
    finally:
        named.close()
        unnamed.close()
        server.shutdown()
        server.server_close()


def test_file_without_certificates_is_refused(tmp_path: Path):
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(TransportError, match="no certificates"):
        Transport("https://localhost", (), "https://localhost", tmp_path / "ca.pem")


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def _certificate(folder: Path) -> Path:
    """A self-signed certificate for localhost with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path
