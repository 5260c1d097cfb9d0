"""What columns are made of: keys, instants, documents, states."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from common.clock import utc_now
from common.ids import new_id

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: MetaData = SQLModel.metadata


class Timestamp(TypeDecorator[datetime]):
    """`timestamptz` that refuses naive datetimes and always answers in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Reject a datetime without a zone: it names no instant."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime names no instant; give it a zone")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Answer in UTC whatever the session's zone."""
        return None if value is None else value.astimezone(UTC)


def states(column: str, allowed_states: type[StrEnum]) -> CheckConstraint:
    """A CHECK that a text column holds one of the states."""
    allowed = ", ".join(f"'{state.value}'" for state in allowed_states)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


def named(column: str) -> CheckConstraint:
    """A CHECK that a text column holds a name like `zoom_user`. Which names there are, the registry says."""
    return CheckConstraint(f"{column} ~ '^[a-z][a-z0-9_]{{0,49}}$'", name=column)


def pk() -> Any:
    """A UUIDv7 primary key."""
    return Field(default_factory=new_id, primary_key=True)


def ref(target: str, *, nullable: bool = False, ondelete: str = "CASCADE", index: bool = False) -> Any:
    """A foreign key."""
    return Field(
        default=None, sa_column=Column(ForeignKey(target, ondelete=ondelete), nullable=nullable, index=index)
    )


def text_column(default: str | None = None, *, nullable: bool = False) -> Any:
    """Text."""
    server = None if default is None else text(f"'{default}'")
    return Field(default=default, sa_column=Column(Text, nullable=nullable, server_default=server))


def now_column(*, nullable: bool = False) -> Any:
    """An instant that is the row's beginning unless given."""
    return Field(
        default_factory=utc_now,
        sa_column=Column(Timestamp, nullable=nullable, server_default=text("now()")),
    )


def plan_column() -> Column[str]:
    """The name of a plan."""
    return Column(ForeignKey("plan.name"), nullable=False, server_default=text("'standard'"))


def instant() -> Any:
    """An instant that may be unknown."""
    return Field(default=None, sa_column=Column(Timestamp, nullable=True))


def json_column(default: str = "{}", *, nullable: bool = False) -> Any:
    """A JSON document: an object, or with `[]` a list."""
    factory: Any = (lambda: None) if nullable else (dict if default == "{}" else list)
    server = None if nullable else text(f"'{default}'::jsonb")
    return Field(
        default_factory=factory,
        sa_column=Column(JSONB(none_as_null=True), nullable=nullable, server_default=server),
    )


def count_column() -> Any:
    """A number that starts at 0."""
    return Field(default=0, sa_column_kwargs={"server_default": text("0")})


def sealed_column() -> Any:
    """A secret as `common.secrets.crypto` seals it; NULL when there is none."""
    return Field(default=None, sa_column=Column(LargeBinary, nullable=True))
