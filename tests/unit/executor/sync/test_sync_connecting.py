"""Connecting to a user's database: to a checked address, under the name it was given."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.errors import BlockedAddress
from common.http import Address, AddressGuard
from executor.sync.postgresql.address import DatabaseAddress, Tls
from executor.sync.postgresql.connecting import connected

NAME = "db.example.com"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate of its own for NAME, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@dataclass
class Server:
    """Speaks as much PostgreSQL as it takes to refuse a password. `names` are those it was called by."""

    port: int = 0
    tls: ssl.SSLContext | None = None
    names: list[str | None] = field(default_factory=list)
    startups: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client did not like the certificate
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length, code = struct.unpack("!ii", await reader.readexactly(8))
        if code == 80877103:  # SSLRequest
            writer.write(b"N" if self.tls is None else b"S")
            await writer.drain()
            if self.tls is not None:
                await writer.start_tls(self.tls)
            length, code = struct.unpack("!ii", await reader.readexactly(8))
        self.startups.append(await reader.readexactly(length - 8))
        fields = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0"
        writer.write(b"E" + struct.pack("!i", len(fields) + 4) + fields)
        await writer.drain()


@asynccontextmanager
async def _serving(certificate: Path | None) -> AsyncIterator[Server]:
    server = Server()
    if certificate is not None:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(certificate)
        server.tls.sni_callback = lambda _socket, name, _context: server.names.append(name)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


def _guard(port: int, *names: str) -> AddressGuard:
    async def resolve(_host: str, _port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.1")]

    return AddressGuard({f"{name}:{port}" for name in names}, resolver=resolve)


async def _connect(server: Server, tls: Tls, *, name: str = NAME) -> None:
    address = DatabaseAddress(name, server.port, "x", "bob", "secret", tls)
    async with connected(address, _guard(server.port, NAME, "other.example.com")):
        raise AssertionError("the server lets nobody in")


@pytest.mark.parametrize("tls", [Tls.PREFER, Tls.REQUIRE])
async def test_the_server_is_called_by_its_name_though_its_address_is_connected_to(
    certificate: Path, tls: Tls
) -> None:
    async with _serving(certificate) as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _connect(server, tls)
    assert server.names == [NAME]


@pytest.mark.parametrize("tls", [Tls.VERIFY_CA, Tls.VERIFY_FULL])
async def test_an_untrusted_certificate_is_refused(certificate: Path, tls: Tls) -> None:
    async with _serving(certificate) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await _connect(server, tls)
    assert server.startups == []


async def test_a_certificate_must_be_of_the_name_where_that_is_asked_for(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with _serving(certificate) as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _connect(server, Tls.VERIFY_FULL)
        with pytest.raises(ssl.SSLCertVerificationError):
            await _connect(server, Tls.VERIFY_FULL, name="other.example.com")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _connect(server, Tls.VERIFY_CA, name="other.example.com")


async def test_without_tls_only_optional_modes_connect() -> None:
    async with _serving(None) as server:
        for tls in (Tls.DISABLE, Tls.PREFER):
            with pytest.raises(asyncpg.InvalidPasswordError):
                await _connect(server, tls)
        for tls in (Tls.REQUIRE, Tls.VERIFY_CA, Tls.VERIFY_FULL):
            with pytest.raises(ConnectionError):
                await _connect(server, tls)
    assert len(server.startups) == 2


async def test_a_name_that_leads_inside_is_not_connected_to() -> None:
    async with _serving(None) as server:
        address = DatabaseAddress(NAME, server.port, "x", "bob", "secret", Tls.DISABLE)
        with pytest.raises(BlockedAddress, match="resolves to a loopback address"):
            async with connected(address, _guard(server.port)):
                raise AssertionError("connected")
    assert server.startups == []


async def test_nothing_of_this_machines_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", "operator")
    monkeypatch.setenv("PGPASSWORD", "operators-password")
    monkeypatch.setenv("PGDATABASE", "carillon")
    monkeypatch.setenv("PGOPTIONS", "-c search_path=operators")
    async with _serving(None) as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _connect(server, Tls.DISABLE)
    (startup,) = server.startups
    assert b"user\0bob\0" in startup
    assert b"operator" not in startup
    assert b"carillon" not in startup
