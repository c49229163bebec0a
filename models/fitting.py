"""
Whether an event fits its contract, and whether it says more: told in half the time it takes to read one.

The check is derived from the contract itself: its pydantic schema without whatever only builds a result (objects,
decimals, instants brought to UTC). What fits here is read by the contract as well; what does not is left to the
contract, which alone says no and why.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, cast

from pydantic_core import CoreSchema, SchemaValidator

from models.contract import Contract
from models.scalars import TIMESTAMP_PATTERN, in_utc

# Years that an offset cannot push out of the calendar; others are left to the contract.
_SAFE_TIMESTAMP_PATTERN = TIMESTAMP_PATTERN.replace("[0-9]{4}", "[1-8][0-9]{3}", 1)


@cache
def fitting(contract: type[Contract]) -> SchemaValidator:
    """
    The check of *contract*; its `isinstance_python` takes an event as parsed from JSON and answers yes or no.

    A no means: ask the contract.
    """
    return _check(contract, is_exact=False)


@cache
def fitting_exactly(contract: type[Contract]) -> SchemaValidator:
    """As `fitting`, but no to a field the contract does not know, and to an object where it takes any JSON."""
    return _check(contract, is_exact=True)


def _check(contract: type[Contract], *, is_exact: bool) -> SchemaValidator:
    schema = cast("dict[str, Any]", contract.__pydantic_core_schema__)
    return SchemaValidator(cast("CoreSchema", _lean(schema, is_exact=is_exact)))


def _lean(schema: dict[str, Any], *, is_exact: bool) -> dict[str, Any]:
    def lean(inner: dict[str, Any]) -> dict[str, Any]:
        return _lean(inner, is_exact=is_exact)

    match schema["type"]:
        case "model":
            # Strictness is said on the model; what is in it inherits it.
            config = {**schema["config"], "extra_fields_behavior": "forbid" if is_exact else "ignore"}
            return {**lean(schema["schema"]), "config": config, **({"ref": schema["ref"]} if "ref" in schema else {})}
        case "model-fields":
            fields = {name: _lean_field(field, lean) for name, field in schema["fields"].items()}
            return {"type": "typed-dict", "fields": fields}
        case "definitions":
            definitions = [lean(each) for each in schema["definitions"]]
            return {**schema, "schema": lean(schema["schema"]), "definitions": definitions}
        case "nullable":
            return {**schema, "schema": lean(schema["schema"])}
        case "tuple":
            return {**schema, "items_schema": [lean(each) for each in schema["items_schema"]]}
        case "function-after" if schema["function"]["function"] is in_utc:
            text, instant = schema["schema"]["steps"]
            return {**schema["schema"], "steps": [{**text, "pattern": _SAFE_TIMESTAMP_PATTERN}, instant]}
        case "chain" if schema["steps"][-1]["type"] == "decimal":
            # The pattern alone decides.
            return cast("dict[str, Any]", schema["steps"][0])
        case "any" if is_exact:
            return _SCALAR
    return schema


def _lean_field(field: dict[str, Any], lean: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    schema = field["schema"]
    is_required = schema["type"] != "default"
    named = {"validation_alias": field["validation_alias"]} if "validation_alias" in field else {}
    inner = lean(schema if is_required else schema["schema"])
    return {"type": "typed-dict-field", "schema": inner, "required": is_required, **named}


_SCALAR: dict[str, Any] = {
    "type": "nullable",
    "schema": {
        "type": "union",
        "choices": [{"type": each, "strict": True} for each in ("str", "bool", "int", "float")],
        "mode": "left_to_right",
    },
}
