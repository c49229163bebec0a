"""The envelope: what every event says of itself, whatever its type."""

from typing import Annotated, cast

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict, JsonValue

from models.contract import Contract
from models.scalars import Identifier, Text, Timestamp

SchemaVersion = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")]
"""MAJOR.MINOR. A higher minor only adds; another major is another contract."""


def _ask_for_id(schema: JsonDict) -> None:
    required = cast("list[JsonValue]", schema["required"])
    properties = cast("JsonDict", schema["properties"])
    required.insert(0, "id")
    properties["id"] = {
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "description": "The same on every retry; unique within the source.",
    }


class Event(Contract):
    """
    The fields beside `type` and `data`, which each event type adds.

    `id` is asked of every sender, and so the JSON Schema requires it; an event without one is read all the same, and
    named after its body. `livemode` absent means true. `source_id` is the sender's own name for its instance, not the
    configured source.
    """

    model_config = ConfigDict(json_schema_extra=_ask_for_id)

    id: Identifier | None = None
    schema_version: SchemaVersion
    timestamp: Timestamp
    emitted_at: Timestamp | None = None
    source_id: Text | None = None
    program_id: Text | None = None
    livemode: bool | None = None
