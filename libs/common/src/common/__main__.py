"""`python -m common`: what an operator does before the services start, from the image of any of them.

    migrate                        bring the database to the current schema
    topics [--replication N]       create the Kafka topics that do not exist yet
    tenant create NAME EMAIL       create a team and its owner; prints the owner's API key, once
    keys new [NAME]                print a fresh entry for ENCRYPTION_KEYS

The same as the `carillon` command's, without what the command brings along to run a whole stack.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

import asyncpg
from aiokafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError

from common.broker import TOPICS, ensure_topics
from common.database.migrate import upgrade
from common.errors import ConfigurationError
from common.secrets import rotation
from common.secrets.crypto import KeyRing, new_encryption_key
from common.secrets.redaction import hide_secrets
from common.settings import KafkaSettings, SecretSettings, ServiceSettings, load
from common.tenants import bootstrap


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says.

    Ends the process with 78 (EX_CONFIG) where a setting is missing, with 1 where a server fails.
    """
    given = _parser().parse_args(arguments)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the error that ends the waiting says it once
    try:
        answer = given.command(given)
    except (OSError, asyncpg.PostgresError, SQLAlchemyError, KafkaError, ConfigurationError) as error:
        sys.exit(f"{type(error).__name__}: {hide_secrets(str(error))}")
    sys.stdout.write(f"{answer}\n")


def _migrate(_given: argparse.Namespace) -> str:
    upgrade(_database_url())
    return "The database is up to date."


def _topics(given: argparse.Namespace) -> str:
    created = asyncio.run(ensure_topics(load(KafkaSettings), replication=given.replication))
    return f"{len(TOPICS)} topics, {created} of them new."


def _create_tenant(given: argparse.Namespace) -> str:
    return asyncio.run(bootstrap(_database_url(), tenant_name=given.name, user_email=given.email))


def _new_key(given: argparse.Namespace) -> str:
    return new_encryption_key(given.name)


def _rotate_keys(_given: argparse.Namespace) -> str:
    ring = KeyRing.parse(load(SecretSettings).encryption_keys.get_secret_value())
    rotated = asyncio.run(rotation.rotate(_database_url(), ring))
    told = rotation.report(rotated)
    if any(each.unreadable for each in rotated):
        sys.exit(told)
    return told


def _database_url() -> str:
    return load(ServiceSettings).database_url.get_secret_value()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m common")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    migrate = commands.add_parser("migrate", help="bring the database to the current schema")
    migrate.set_defaults(command=_migrate)

    topics = commands.add_parser("topics", help="create the Kafka topics that do not exist yet")
    topics.add_argument("--replication", type=_positive, default=1, help="replicas of each topic (1)")
    topics.set_defaults(command=_topics)

    tenant = commands.add_parser("tenant", help="teams").add_subparsers(required=True, metavar="COMMAND")
    create = tenant.add_parser("create", help="create a team and its owner, and print the owner's API key")
    create.add_argument("name", help="the team's name")
    create.add_argument("email", help="its owner's address")
    create.set_defaults(command=_create_tenant)

    keys = commands.add_parser("keys", help="encryption keys").add_subparsers(
        required=True, metavar="COMMAND"
    )
    new = keys.add_parser("new", help="print a fresh entry for ENCRYPTION_KEYS")
    new.add_argument("name", nargs="?", default="k1", help="what to call it (k1)")
    new.set_defaults(command=_new_key)
    rotate = keys.add_parser(
        "rotate", help="seal every secret in the database again with the first of ENCRYPTION_KEYS"
    )
    rotate.set_defaults(command=_rotate_keys)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    main()
