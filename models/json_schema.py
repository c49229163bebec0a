"""The contracts as one JSON Schema document, for senders who check before they send."""

from collections.abc import Iterator

from pydantic.json_schema import models_json_schema

from models.registry import CONTRACTS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DESCRIPTION = (
    "An event is one of these, by its type. A field that is not listed never fails. No string may hold U+0000, and no "
    "name may stand twice in one object."
)


def json_schema() -> dict[str, object]:
    """
    Make the document: one alternative per event type at its contract, the objects they share under `$defs`.

    It asks what a sender should send, which is a little more than what is read: `id` is required, and a currency is in
    capitals. An instant or a day that matches its pattern may still be none (2026-02-30); only reading tells.
    """
    references, definitions = models_json_schema(
        [(contract, "validation") for contract in CONTRACTS.values()], title="hookmart event", description=_DESCRIPTION
    )
    document = {
        "$schema": _DIALECT,
        **definitions,
        "oneOf": [references[contract, "validation"] for contract in CONTRACTS.values()],
    }
    for node in _objects(document):
        # A default of null says what "not required" says; a field's title repeats its name.
        if "default" in node and node["default"] is None:
            del node["default"]
        if isinstance(node.get("title"), str) and "properties" not in node and "$defs" not in node:
            del node["title"]
    return document


def _objects(node: object) -> Iterator[dict[str, object]]:
    if isinstance(node, dict):
        yield node
        for member in list(node.values()):
            yield from _objects(member)
    elif isinstance(node, list):
        for item in node:
            yield from _objects(item)
