"""Internal tables of the services."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    LargeBinary,
    Text,
)
from sqlmodel import Field, SQLModel

from common.models.columns import (
    Timestamp,
    instant,
    json_column,
    now_column,
    text_column,
)


class Outbox(SQLModel, table=True):
    """Events on their way to Kafka, written with the state they announce; deleted once acknowledged."""

    __tablename__ = "outbox"
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=False), primary_key=True)
    )
    topic: str = text_column()
    key: str = text_column()
    headers: dict[str, str] = json_column()
    value: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = now_column()


class Reign(SQLModel, table=True):
    """The history of leaders. `vacant_since`: since when there was no leader before, for "why did it not
    run?"."""

    __tablename__ = "reign"
    __table_args__ = (Index("ix_reign_acquired_at", "acquired_at"),)
    term: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    holder: str = text_column()
    vacant_since: datetime | None = instant()
    acquired_at: datetime = now_column()


class RequestCount(SQLModel, table=True):
    """Requests counted in a window that has not ended, by all processes of the API together.

    Worth nothing after a crash of the database: the table is UNLOGGED.
    """

    __tablename__ = "request_count"
    __table_args__ = (Index("ix_request_count_ends_at", "ends_at"), {"prefixes": ["UNLOGGED"]})
    key: str = Field(sa_column=Column(Text, primary_key=True))
    count: int
    ends_at: datetime = Field(sa_column=Column(Timestamp, nullable=False))


class Fact(SQLModel, table=True):
    """What the scheduler remembers between reigns, such as the tz database `next_run` was computed with."""

    __tablename__ = "fact"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    value: str = text_column()


class Leadership(SQLModel, table=True):
    """Who leads, in which term, and until when by the database's clock."""

    __tablename__ = "leadership"
    role: str = Field(sa_column=Column(Text, primary_key=True))
    term: int = Field(sa_column=Column(BigInteger, nullable=False))
    holder: str = text_column()
    acquired_at: datetime = now_column()
    expires_at: datetime = Field(sa_column=Column(Timestamp, nullable=False))
