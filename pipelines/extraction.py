"""
How a typed column is read from an event's JSON: DuckDB's SQL and the Arrow type, from the one mapping in `models`.

The JSON is taken apart once per event into a struct of texts; every typed column is then a cast of one text.
"""

import json
from typing import Any

import pyarrow as pa

from models.columns import Column, Kind

ARROW_TYPES: dict[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.CURRENCY: pa.string(),
    Kind.MONEY: pa.decimal128(28, 8),
    Kind.DECIMAL: pa.decimal128(38, 18),
    Kind.INTEGER: pa.int64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.DATE: pa.date32(),
    Kind.JSON: pa.string(),
    Kind.MONEY_SUM: pa.decimal128(28, 8),
    Kind.SHARED_CURRENCY: pa.string(),
}

# A decimal with more places than the column is rounded by a cast without a word, so the text must match first.
MONEY_TEXT = r"-?(0|[1-9]\d{0,19})(\.\d{1,8})?"
_DECIMAL_TEXT = r"-?(0|[1-9]\d{0,19})(\.\d{1,18})?"
_SHORT_DECIMAL_TEXT = r"-?(0|[1-9]\d{0,8})(\.\d{1,9})?"

_LEAF = "VARCHAR"
_MONEY_OBJECTS = [{"amount": {"amount": _LEAF, "currency": _LEAF}}]


def structure(columns: tuple[Column, ...]) -> str:
    """The shape of the JSON that *columns* need, for DuckDB's `json_transform`: texts, nested as the paths are."""
    root: dict[str, Any] = {}
    for column in columns:
        *parents, leaf = column.path.split(".")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = _MONEY_OBJECTS if _is_money_array(column) else _LEAF
    return json.dumps(root)


def typed(column: Column, struct: str) -> str:
    """SQL that gives *column* from the *struct* that `json_transform` made; null where the text does not fit."""
    text = text_of(column, struct)
    match column.kind:
        case Kind.TEXT | Kind.JSON:
            return text
        case Kind.CURRENCY:
            return f"upper({text})"
        case Kind.MONEY:
            return money_of(text)
        case Kind.DECIMAL:
            # More than nine places would be rounded, so a short text must match first.
            return f"""case
                when regexp_full_match({text}, '{_SHORT_DECIMAL_TEXT}')
                then cast(cast({text} as decimal(18, 9)) as decimal(38, 18))
                when regexp_full_match({text}, '{_DECIMAL_TEXT}') then try_cast({text} as decimal(38, 18))
            end"""
        case Kind.INTEGER:
            return f"case when regexp_full_match({text}, '-?[0-9]+') then try_cast({text} as bigint) end"
        case Kind.BOOLEAN:
            return f"case {text} when 'true' then true when 'false' then false end"
        case Kind.TIMESTAMP:
            return utc_of(text)
        case Kind.DATE:
            return f"try_cast({text} as date)"
        case Kind.MONEY_SUM:
            total = f"list_sum(list_transform({text}, lambda each: {money_of('each.amount.amount')}))"
            return f"case when {_currency_count(text)} = 1 then try_cast({total} as decimal(28, 8)) end"
        case Kind.SHARED_CURRENCY:
            return f"case when {_currency_count(text)} = 1 then upper({text}[1].amount.currency) end"


def unreadable(column: Column, struct: str) -> str | None:
    """SQL that is true where *column* has a text that its type cannot hold; None where every text fits."""
    if column.kind in {Kind.TEXT, Kind.JSON, Kind.CURRENCY, Kind.MONEY_SUM, Kind.SHARED_CURRENCY}:
        return None
    return f"{text_of(column, struct)} is not null and {typed(column, struct)} is null"


def text_of(column: Column, struct: str) -> str:
    """SQL that gives the text of *column* from the *struct*."""
    return ".".join([struct, *(f'"{part}"' for part in column.path.split("."))])


def money_of(text: str) -> str:
    """
    SQL that gives money from *text*; null where it is none.

    DuckDB reads a text as a decimal of up to 18 digits sixty times faster than as a longer one (0.02 and 2.3 us), and
    most money has no more.
    """
    return f"""case
        when regexp_full_match({text}, '{MONEY_TEXT}')
        then coalesce(
            cast(try_cast({text} as decimal(18, 8)) as decimal(28, 8)), try_cast({text} as decimal(28, 8))
        )
    end"""


def utc_of(text: str) -> str:
    """
    SQL that gives the UTC timestamp of a moment in RFC 3339; null where *text* is none.

    By way of its microseconds, which takes a quarter of what `at time zone 'UTC'` does.
    """
    return f"make_timestamp(epoch_us(try_cast(upper({text}) as timestamptz)))"


def _currency_count(array: str) -> str:
    return f"len(list_distinct(list_transform({array}, lambda each: upper(each.amount.currency))))"


def _is_money_array(column: Column) -> bool:
    return column.kind in {Kind.MONEY_SUM, Kind.SHARED_CURRENCY}
