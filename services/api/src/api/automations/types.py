"""The kinds of automation there are, and whether a configuration fits one.

Built-in types are checked by their Pydantic models; types that executors announced, by their JSON Schema.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import BaseModel, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.schemas import AutomationTypeOut
from api.faults import field_errors, schema_errors
from common.automation_config import BUILT_IN
from common.errors import FieldError
from common.models import AutomationType

_FIELD = "automation_config"


@cache
def _built_in() -> dict[str, AutomationTypeOut]:
    return {
        name: AutomationTypeOut(
            type=name,
            title=name.replace("_", " ").capitalize(),
            description=inspect.getdoc(model) or "",
            config_schema=model.model_json_schema(),
        )
        for name, model in BUILT_IN.items()
    }


async def known_types(session: AsyncSession) -> dict[str, AutomationTypeOut]:
    """Every type that can be created, by name."""
    known = dict(_built_in())
    announced = await session.execute(
        select(col(AutomationType.type), col(AutomationType.title), col(AutomationType.config_schema))
    )
    for name, title, schema in announced:
        built_in = known.get(name)
        known[name] = AutomationTypeOut(
            type=name,
            title=title or (built_in.title if built_in else name),
            description=built_in.description if built_in else str(schema.get("description", "")),
            config_schema=built_in.config_schema if built_in else schema,
        )
    return dict(sorted(known.items()))


def read_config(
    type_name: str,
    config: Mapping[str, Any],
    known: Mapping[str, AutomationTypeOut],
    *,
    allowed_hosts: Collection[str] | None = None,
) -> tuple[BaseModel | None, list[FieldError]]:
    """A configuration of a built-in type, and what is wrong with it and its type, field by field.

    `allowed_hosts` are the private hosts that addresses in it may name.
    """
    if type_name not in known:
        return None, [FieldError("/type", f"unknown; the known types are: {', '.join(known)}")]
    model = BUILT_IN.get(type_name)
    if model is None:
        return None, _check_schema(config, known[type_name].config_schema)
    try:
        return model.model_validate(config, context={"allowed_hosts": allowed_hosts}), []
    except ValidationError as error:
        return None, field_errors(error, config, _FIELD)


def _check_schema(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[FieldError]:
    # An empty registry: a schema's `$ref` must not make this service fetch anything.
    try:
        Draft202012Validator.check_schema(schema)
        violations = list(Draft202012Validator(schema, registry=Registry()).iter_errors(config))
    except (SchemaError, Unresolvable):
        return [FieldError("/type", "its executor announced a schema that cannot be used; ask the operator")]
    return [fault for violation in violations for fault in schema_errors(violation, _FIELD)]
