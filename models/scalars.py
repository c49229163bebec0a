"""The scalar types of the contracts: identifiers, text, whole numbers, decimals, instants and days."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True, eq=False)
class ReadAs:
    """Read a JSON value by *schema* and nothing else; *published* is what the JSON Schema says of it."""

    schema: CoreSchema
    published: Mapping[str, object]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Put *schema* in the place of what pydantic would make of the annotated type."""
        return self.schema

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Put *published* in the place of what pydantic would make of *schema*."""
        return dict(self.published)


def decimal_text(integer_digits: int, decimals: int, description: str) -> ReadAs:
    """
    Read a decimal from a string: an optional minus, no plus, no leading zero, no exponent.

    A JSON number is refused, because JSON numbers pass through floats and lose digits on the way.
    """
    # [0-9], not \d: the engine that matches while reading counts every script's digits among \d.
    pattern = rf"^-?(0|[1-9][0-9]{{0,{integer_digits - 1}}})(\.[0-9]{{1,{decimals}}})?$"
    return ReadAs(
        core_schema.chain_schema(
            [core_schema.str_schema(pattern=pattern, strict=True), core_schema.decimal_schema(strict=False)]
        ),
        {"type": "string", "pattern": pattern, "description": description},
    )


def in_utc(moment: dt.datetime) -> dt.datetime:
    """Bring an aware *moment* to UTC, or refuse one that UTC would put outside the years 1 to 9999."""
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError:
        message = "in UTC this lies outside the years 1 to 9999"
        raise ValueError(message) from None


def known(values: Sequence[str]) -> Any:
    """List the *values* known so far in the JSON Schema; any other string is read as well."""
    return Field(examples=list(values), description="One of these, or a value added later.")


_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
_OFFSET = r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
TIMESTAMP_PATTERN = f"^{_DATE}[Tt]{_TIME}{_OFFSET}$"
_DATE_PATTERN = f"^{_DATE}$"

Text = str
"""Any string without U+0000, which is looked for once in the whole event (see `reading`)."""

Identifier = Annotated[str, Field(min_length=1, max_length=128)]
"""Opaque, case-sensitive, unique within a source."""

Integer = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""Whole, and within 64 bits."""

DecimalText = Annotated[
    Decimal, decimal_text(20, 18, "A decimal as a string: at most 20 digits before the point and 18 after it.")
]
"""A rate, a quantity or a score; fits decimal(38, 18) without rounding."""

Timestamp = Annotated[
    dt.datetime,
    ReadAs(
        core_schema.no_info_after_validator_function(
            in_utc,
            core_schema.chain_schema(
                [
                    core_schema.str_schema(pattern=TIMESTAMP_PATTERN, strict=True),
                    core_schema.datetime_schema(strict=False, tz_constraint="aware", microseconds_precision="truncate"),
                ]
            ),
        ),
        {
            "type": "string",
            "format": "date-time",
            "pattern": TIMESTAMP_PATTERN,
            "description": "RFC 3339 with an offset; digits beyond the microsecond are dropped.",
        },
    ),
]
"""An instant, read to aware UTC. At most nine decimals of a second, of which six are kept: cut, not rounded."""

Date = Annotated[
    dt.date,
    ReadAs(
        core_schema.chain_schema(
            [core_schema.str_schema(pattern=_DATE_PATTERN, strict=True), core_schema.date_schema(strict=False)]
        ),
        {"type": "string", "format": "date", "pattern": _DATE_PATTERN},
    ),
]
"""A day, `YYYY-MM-DD`."""

Json = Any
"""Any JSON value, kept as sent."""
