"""A user's database: its address, what its table must be, and what its errors mean."""

from __future__ import annotations

import ssl

import asyncpg
import pytest

from common.errors import BlockedAddress, Consequence, PlatformError
from executor.sync.postgresql.address import DatabaseAddress, Tls, parse_dsn
from executor.sync.postgresql.failures import FAILURES, failure
from executor.sync.postgresql.table import KEY, Present, Table

CANARY = "s3cr3t-c4n4ry"
TABLE = Table.named("Ads.days", ["spend", "ctr"])


class TestAddresses:
    def test_its_parts_are_read(self) -> None:
        address = parse_dsn("postgresql://bo%40b:p%2Fw@db.example.com:6543/my%20db?sslmode=verify-full")
        assert address == DatabaseAddress("db.example.com", 6543, "my db", "bo@b", "p/w", Tls.VERIFY_FULL)
        assert "p/w" not in repr(address)

    def test_omitted_parameters_use_the_defaults(self) -> None:
        address = parse_dsn("postgres://bob@[2001:4860::1]")
        assert address == DatabaseAddress("2001:4860::1", 5432, "bob", "bob", "", Tls.PREFER)

    @pytest.mark.parametrize(
        ("query", "tls"),
        [
            ("sslmode=disable", Tls.DISABLE),
            ("sslmode=allow", Tls.PREFER),
            ("sslmode=require", Tls.REQUIRE),
            ("sslmode=require&channel_binding=require", Tls.VERIFY_FULL),
            ("sslmode=verify-ca&sslrootcert=system", Tls.VERIFY_CA),
            ("application_name=x&connect_timeout=5", Tls.PREFER),
        ],
    )
    def test_its_security_is_as_asked(self, query: str, tls: Tls) -> None:
        assert parse_dsn(f"postgresql://bob@db.example.com/x?{query}").tls is tls

    @pytest.mark.parametrize(
        ("dsn", "told"),
        [
            (f"mysql://bob:{CANARY}@db.example.com/x", "begin with postgresql"),
            (f"postgresql://bob:{CANARY}@db.example.com:{CANARY}/x", "host or port"),
            (f"postgresql://bob:{CANARY}@db.example.com:99999/x", "host or port"),
            (f"postgresql://bob:{CANARY}@/x", "one host"),
            (f"postgresql:///x?host=/tmp&password={CANARY}", "one host"),
            (f"postgresql://bob:{CANARY}@%2Ftmp/x", "one host"),
            (f"postgresql://bob:{CANARY}@a.example.com,b.example.com/x", "one host"),
            (f"postgresql://:{CANARY}@db.example.com/x", "name a user"),
            (f"postgresql://bob:{CANARY}@db.example.com/x?host=/tmp", "not known: host"),
            (f"postgresql://bob:{CANARY}@db.example.com/x?sslmode={CANARY}", "sslmode must be"),
            (f"postgresql://bob@db.example.com/x?sslpassword={CANARY}", "not known: sslpassword"),
            ("postgresql://bob@db.example.com/x?sslrootcert=/etc/passwd", "sslrootcert can only be system"),
            ("postgresql://bob@db.example.com/x?sslkey=/root/key", "not known: sslkey"),
            ("postgresql://bob@db.example.com/x?service=prod&passfile=/x", "not known: passfile, service"),
        ],
    )
    def test_an_unusable_dsn_is_reported_without_repeating_it(self, dsn: str, told: str) -> None:
        with pytest.raises(PlatformError, match=told) as refused:
            parse_dsn(dsn, connection_id="7")
        assert CANARY not in str(refused.value)
        assert (refused.value.consequence, refused.value.connection_id) == (Consequence.INVALID, "7")


class TestTables:
    def test_a_table_that_is_not_there_is_made_whole(self) -> None:
        schema, table = TABLE.missing(Present(schema=False, columns=set(), unique_keys=[]))
        assert schema == 'CREATE SCHEMA "Ads"'
        assert table.startswith('CREATE TABLE "Ads"."days" (')
        assert '"spend" numeric' in table
        assert 'PRIMARY KEY ("platform", "account_id", "level", "campaign_id", "day")' in table
        assert len(TABLE.missing(Present(schema=True, columns=set(), unique_keys=[]))) == 1

    def test_missing_columns_are_added(self) -> None:
        there = Present(schema=True, columns=set(TABLE.columns) - {"ctr"}, unique_keys=[frozenset(KEY)])
        assert TABLE.missing(there) == ['ALTER TABLE "Ads"."days" ADD COLUMN "ctr" numeric']
        without_key = Present(schema=True, columns=set(TABLE.columns), unique_keys=[frozenset({"id"})])
        (index,) = TABLE.missing(without_key)
        assert index.startswith('CREATE UNIQUE INDEX ON "Ads"."days"')

    def test_a_table_with_more_than_ours_is_fine(self) -> None:
        there = Present(True, {*TABLE.columns, "note", "id"}, [frozenset({"id"}), frozenset(KEY)])
        assert TABLE.missing(there) == []

    def test_names_are_quoted(self) -> None:
        assert Table.named("days", []).sql == '"public"."days"'
        assert Table('a"b', "c", ()).sql == '"a""b"."c"'


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "consequence", "code"),
        [
            (asyncpg.InvalidPasswordError("…"), Consequence.REAUTH, "28P01"),
            (asyncpg.InvalidAuthorizationSpecificationError("…"), Consequence.REAUTH, "28000"),
            (asyncpg.InvalidCatalogNameError("…"), Consequence.INVALID, "3D000"),
            (asyncpg.UndefinedTableError("…"), Consequence.INVALID, "42P01"),
            (asyncpg.InsufficientPrivilegeError("…"), Consequence.PERM, "42501"),
            (asyncpg.DuplicateTableError("…"), Consequence.TRANSIENT, "42P07"),
            (asyncpg.NumericValueOutOfRangeError("…"), Consequence.INVALID, "22003"),
            (asyncpg.CheckViolationError("…"), Consequence.INVALID, "23514"),
            (asyncpg.DiskFullError("…"), Consequence.TRANSIENT, "53100"),
            (asyncpg.TooManyConnectionsError("…"), Consequence.TRANSIENT, "53300"),
            (asyncpg.QueryCanceledError("…"), Consequence.TRANSIENT, "57014"),
            (asyncpg.AdminShutdownError("…"), Consequence.TRANSIENT, "57P01"),
            (asyncpg.DeadlockDetectedError("…"), Consequence.TRANSIENT, "40P01"),
            (asyncpg.ReadOnlySQLTransactionError("…"), Consequence.TRANSIENT, "25006"),
            (asyncpg.InterfaceError("…"), Consequence.TRANSIENT, "connection_lost"),
            (ConnectionRefusedError("…"), Consequence.TRANSIENT, "refused"),
            (ConnectionResetError("…"), Consequence.TRANSIENT, "unreachable"),
            (OSError("…"), Consequence.TRANSIENT, "unreachable"),
            (TimeoutError("…"), Consequence.TRANSIENT, "timeout"),
            (ssl.SSLCertVerificationError("…"), Consequence.INVALID, "certificate"),
            (ssl.SSLError("…"), Consequence.TRANSIENT, "tls"),
            (BlockedAddress("the host is a private address"), Consequence.INVALID, "blocked_address"),
        ],
    )
    def test_each_has_its_consequence(self, error: Exception, consequence: Consequence, code: str) -> None:
        assert isinstance(error, FAILURES)
        told = failure(error, connection_id="7")
        assert (told.consequence, told.code, told.connection_id) == (consequence, code, "7")

    def test_the_servers_messages_about_names_are_reported(self) -> None:
        said = asyncpg.UndefinedColumnError('column "spend" does not exist')
        assert 'column "spend" does not exist' in failure(said, connection_id="7").detail

    @pytest.mark.parametrize(
        "error",
        [
            asyncpg.InvalidPasswordError(f'password authentication failed for user "{CANARY}"'),
            asyncpg.UniqueViolationError(f"Key (name)=({CANARY}) already exists."),
            asyncpg.UndefinedTableError(f'relation "{CANARY}" does not exist'),
            OSError(f"Connect call failed ('{CANARY}', 5432)"),
        ],
    )
    def test_secrets_in_the_servers_messages_are_redacted(self, error: Exception) -> None:
        assert CANARY not in failure(error, connection_id="7", secrets=(CANARY,)).detail
