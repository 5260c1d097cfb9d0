"""The services' own database over TLS: every way of libpq to ask for it, against a real server.

The server takes TLS connections only, with a certificate of an authority of its own for `localhost`. The
embedded server is built without TLS: one that is installed on the machine is used.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text

from carillon.child import nothing
from carillon.identity import Identity
from carillon.launch import launched
from carillon.ports import free_port
from carillon.postgres import USER, Postgres
from common.database.pool import connect, create_engine, create_pool
from tests.support.backends import running

PASSWORD = "p@ss/w:rd?#%25 +é&=[]"
"""Made up, of every character that an address may trip over."""
SUPERUSER = "of-the-superuser"
HBA = """
hostssl all certified 127.0.0.1/32 cert
hostssl all all 127.0.0.1/32 scram-sha-256
"""
TOLD = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@dataclass(frozen=True)
class Authority:
    """Signs certificates."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of our own")])
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        made = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, made)

    def issue(self, name: str, names: Sequence[x509.GeneralName]) -> tuple[bytes, bytes]:
        """A certificate and its key, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, self.certificate.subject, key.public_key())
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        made = builder.add_extension(identifier, critical=False).sign(self.key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM), key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


@dataclass(frozen=True)
class Server:
    """The server, and files of its authority and of a client."""

    port: int
    root: Path
    other_root: Path
    certificate: Path
    key: Path

    def url(self, *, user: str = "ada", host: str = "localhost", **parameters: str) -> str:
        password = "" if user == "certified" else f":{quote(PASSWORD, safe='')}"
        query = f"?{urlencode(parameters)}" if parameters else ""
        return f"postgresql://{user}{password}@{host}:{self.port}/postgres{query}"


def _installed() -> Path | None:
    """The programs of a PostgreSQL that is installed and built with TLS; its `pg_config` may not be."""
    found = [Path("/usr/lib/postgresql"), Path("/usr/local/pgsql"), Path("/opt/homebrew/opt")]
    servers = [path for folder in found for path in sorted(folder.glob("**/bin/postgres"), reverse=True)]
    return next((path.parent for path in servers if b"libssl" in path.read_bytes()), None)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    binaries = _installed()
    if binaries is None:
        pytest.skip("no PostgreSQL with TLS is installed")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("carillon.postgres._BINARIES", binaries)
        yield from _serving(tmp_path_factory.mktemp("tls"), binaries)


def _initialise(data: Path, binaries: Path, identity: Identity | None) -> None:
    """As `carillon.postgres` does, without the locales that only PostgreSQL 17 and later have built in."""
    data.mkdir(mode=0o700)
    password = data.with_suffix(".password")
    password.write_text(SUPERUSER)
    if identity is not None:
        for path in (data, password):
            os.chown(path, identity.uid, identity.gid)
    command = [binaries / "initdb", f"--pgdata={data}", f"--username={USER}", f"--pwfile={password}"]
    options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    subprocess.run(
        launched([*map(str, command), *options], identity=identity), check=True, capture_output=True
    )


def _serving(folder: Path, binaries: Path) -> Iterator[Server]:
    authority = Authority.new()
    names = [x509.DNSName("localhost"), x509.DNSName("db.example")]
    certificate, key = authority.issue("localhost", names)
    own = {
        "server.crt": certificate,
        "server.key": key,
        "root.crt": authority.certificate.public_bytes(serialization.Encoding.PEM),
        "tls_hba.conf": HBA.encode(),
    }
    postgres = Postgres(folder / "postgres", free_port(), SUPERUSER, durable=False)
    program = postgres.program()

    async def prepare() -> None:
        _initialise(postgres.data, binaries, program.identity)
        await program.prepare()
        owner = postgres.data.stat()
        for name, content in own.items():
            path = postgres.data / name
            path.write_bytes(content)
            path.chmod(0o600)
            os.chown(path, owner.st_uid, owner.st_gid)

    settings = {
        "ssl": "on",
        "ssl_cert_file": "server.crt",
        "ssl_key_file": "server.key",
        "ssl_ca_file": "root.crt",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    hba = ("-c", f"hba_file={postgres.data}/tls_hba.conf")
    secured = dataclasses.replace(
        program, prepare=prepare, command=(*program.command, *options, *hba), after_start=nothing
    )
    files = {}
    client, client_key = authority.issue("certified", [])
    other = Authority.new().certificate.public_bytes(serialization.Encoding.PEM)
    for name, content in {"ca": own["root.crt"], "other": other, "client": client, "key": client_key}.items():
        files[name] = folder / f"{name}.pem"
        files[name].write_bytes(content)
        files[name].chmod(0o600)
    with running(secured, folder):
        made = Server(postgres.port, files["ca"], files["other"], files["client"], files["key"])
        asyncio.run(_make_users(postgres.url("postgres")))
        yield made


async def _make_users(url: str) -> None:
    db = await asyncpg.connect(f"{url}?sslmode=require")
    try:
        quoted = PASSWORD.replace("'", "''")
        await db.execute(f"CREATE ROLE ada LOGIN PASSWORD '{quoted}'; CREATE ROLE certified LOGIN")
    finally:
        await db.close()


async def is_encrypted(url: str) -> bool:
    """Through each of the three ways the services have; all must say the same."""
    pool = await create_pool(url, application_name="tls", size=2)
    async with pool:
        by_pool = await pool.fetchval(TOLD)
    db = await connect(url, application_name="tls")
    by_itself = await db.fetchval(TOLD)
    await db.close()
    engine = create_engine(url, application_name="tls", size=2)
    async with engine.connect() as session:
        by_engine = (await session.execute(text(TOLD))).scalar_one()
        assert (await session.execute(text("SELECT '{\"a\": 1}'::jsonb"))).scalar_one() == {"a": 1}
    await engine.dispose()
    assert by_pool == by_itself == by_engine
    return bool(by_pool)


@pytest.mark.parametrize("mode", ["prefer", "require"])
async def test_modes_that_verify_nothing(server: Server, mode: str) -> None:
    assert await is_encrypted(server.url(sslmode=mode))


async def test_an_address_without_parameters_prefers_tls(server: Server) -> None:
    assert await is_encrypted(server.url())


async def test_allow_turns_to_tls_when_the_server_insists(server: Server) -> None:
    assert await is_encrypted(server.url(sslmode="allow"))


async def test_disable_is_refused_by_a_server_that_insists(server: Server) -> None:
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await is_encrypted(server.url(sslmode="disable"))


@pytest.mark.parametrize(("mode", "host"), [("verify-ca", "127.0.0.1"), ("verify-full", "localhost")])
async def test_certificates_are_verified_against_the_authority_that_is_named(
    server: Server, mode: str, host: str
) -> None:
    assert await is_encrypted(server.url(sslmode=mode, host=host, sslrootcert=str(server.root)))
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await is_encrypted(server.url(sslmode=mode, host=host, sslrootcert=str(server.other_root)))


async def test_verify_full_also_asks_for_the_name(server: Server) -> None:
    with pytest.raises(OSError, match=r"certificate|IP address mismatch"):
        await is_encrypted(server.url(sslmode="verify-full", host="127.0.0.1", sslrootcert=str(server.root)))


async def test_a_client_may_show_a_certificate_instead_of_a_password(server: Server) -> None:
    shown = {"sslcert": str(server.certificate), "sslkey": str(server.key)}
    assert await is_encrypted(server.url(user="certified", sslmode="require", **shown))


async def test_channel_binding_and_the_systems_store_mean_verify_full(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for parameters in (
        {"sslmode": "require", "channel_binding": "require"},
        {"sslmode": "verify-full", "sslrootcert": "system"},
    ):
        with pytest.raises(OSError, match="certificate"):
            await is_encrypted(server.url(**parameters))
        with monkeypatch.context() as patched:
            patched.setenv("SSL_CERT_FILE", str(server.root))
            assert await is_encrypted(server.url(**parameters))
    named = {"sslmode": "require", "channel_binding": "require", "sslrootcert": str(server.root)}
    assert await is_encrypted(server.url(**named))


async def test_what_libpq_knows_and_we_set_ourselves_is_no_obstacle(server: Server) -> None:
    known = {"connect_timeout": "10", "keepalives": "1", "gssencmode": "prefer", "application_name": "theirs"}
    assert await is_encrypted(server.url(sslmode="require", target_session_attrs="any", **known))
