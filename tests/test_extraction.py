"""From the JSON of an event to typed columns: what fits arrives exactly, what does not is null and is told of."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ingest.staging import Segment
from models.columns import EVENT_COLUMNS, Column, Kind
from models.event_types import EVENT_TYPES
from pipelines.batches import read_batch
from pipelines.extraction import ARROW_TYPES, structure, typed, unreadable
from pipelines.fates import KnownEvents
from tests.line import Line, fixture_bodies

FIXTURES = Path(__file__).parent / "fixtures" / "events"


def extract(kind: Kind, event: str, path: str = "data.it") -> tuple[Any, bool]:
    """The value that a column of *kind* gets from *event*, by way of Arrow, and whether it is called unreadable."""
    column = Column("it", path, kind)
    check = unreadable(column, "event") or "false"
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        rows = connection.sql(
            f"select {typed(column, 'event')} as it, {check} as is_unreadable "
            f"from (select json_transform($1, '{structure((column,))}') as event)",
            params=[event],
        ).to_arrow_table()
    value = rows.column("it").cast(ARROW_TYPES[kind])[0].as_py()
    return value, bool(rows.column("is_unreadable")[0].as_py())


def sent(value: object) -> str:
    """An event whose `data.it` is *value*."""
    return json.dumps({"data": {"it": value}})


FITTING: list[tuple[Kind, object, object]] = [
    (Kind.TEXT, "x", "x"),
    (Kind.TEXT, "", ""),
    (Kind.TEXT, "Zoë \U0001f600 \"quoted\" \\ 'it''s'", "Zoë \U0001f600 \"quoted\" \\ 'it''s'"),
    (Kind.TEXT, "null", "null"),
    (Kind.CURRENCY, "eur", "EUR"),
    (Kind.CURRENCY, "USDT", "USDT"),
    (Kind.MONEY, "0", Decimal("0E-8")),
    (Kind.MONEY, "-200.00", Decimal("-200.00000000")),
    (Kind.MONEY, "0.00000001", Decimal("0.00000001")),
    (Kind.MONEY, "99999999999999999999.99999999", Decimal("99999999999999999999.99999999")),
    (Kind.MONEY, "-99999999999999999999.99999999", Decimal("-99999999999999999999.99999999")),
    (Kind.MONEY, "12345678901234567890.12345678", Decimal("12345678901234567890.12345678")),
    (Kind.DECIMAL, "0.034", Decimal("0.034").quantize(Decimal("1E-18"))),
    (Kind.DECIMAL, "1.000000000000000001", Decimal("1.000000000000000001")),
    (Kind.DECIMAL, "99999999999999999999.999999999999999999", Decimal("99999999999999999999.999999999999999999")),
    (Kind.INTEGER, 0, 0),
    (Kind.INTEGER, -7, -7),
    (Kind.INTEGER, 9223372036854775807, 9223372036854775807),
    (Kind.INTEGER, -9223372036854775808, -9223372036854775808),
    (Kind.BOOLEAN, True, True),
    (Kind.BOOLEAN, False, False),
    (Kind.TIMESTAMP, "2026-06-30T22:30:00Z", datetime(2026, 6, 30, 22, 30)),
    (Kind.TIMESTAMP, "2026-07-01T00:30:00.5+02:00", datetime(2026, 6, 30, 22, 30, 0, 500_000)),
    (Kind.TIMESTAMP, "2026-06-30t22:30:00.123456z", datetime(2026, 6, 30, 22, 30, 0, 123_456)),
    (Kind.TIMESTAMP, "2026-06-30T22:30:00.123456999Z", datetime(2026, 6, 30, 22, 30, 0, 123_456)),
    (Kind.TIMESTAMP, "1969-12-31T23:59:59.999999-00:00", datetime(1969, 12, 31, 23, 59, 59, 999_999)),
    (Kind.TIMESTAMP, "2026-01-01T00:00:00+05:45", datetime(2025, 12, 31, 18, 15)),
    (Kind.DATE, "2024-02-29", date(2024, 2, 29)),
    (Kind.JSON, {"a": [1.10, None]}, '{"a":[1.1,null]}'),
    (Kind.JSON, ["dup", "vpn"], '["dup","vpn"]'),
]


@pytest.mark.parametrize(("kind", "value", "expected"), FITTING)
def test_a_value_that_fits_arrives_exactly(kind: Kind, value: object, expected: object) -> None:
    """Whatever the contract lets through reaches its column without losing a digit, a microsecond or a letter."""
    found, is_unreadable = extract(kind, sent(value))

    assert (found, type(found)) == (expected, type(expected))
    assert str(found) == str(expected)
    assert not is_unreadable


MISFITS: list[tuple[Kind, object]] = [
    (Kind.MONEY, "0.123456789"),
    (Kind.MONEY, "100000000000000000000"),
    (Kind.MONEY, "007"),
    (Kind.MONEY, "+1"),
    (Kind.MONEY, "1e3"),
    (Kind.MONEY, ".5"),
    (Kind.MONEY, "5."),
    (Kind.MONEY, "1,000"),
    (Kind.MONEY, " 1"),
    (Kind.MONEY, "1\n"),
    (Kind.MONEY, ""),
    (Kind.MONEY, "NaN"),
    (Kind.DECIMAL, "0.1234567890123456789"),
    (Kind.DECIMAL, "1e-3"),
    (Kind.INTEGER, 1.5),
    (Kind.INTEGER, 9223372036854775808),
    (Kind.INTEGER, "1e3"),
    (Kind.BOOLEAN, "yes"),
    (Kind.BOOLEAN, 1),
    (Kind.BOOLEAN, "True"),
    (Kind.TIMESTAMP, "yesterday"),
    (Kind.TIMESTAMP, "2026-13-01T00:00:00Z"),
    (Kind.DATE, "2026-02-29"),
    (Kind.DATE, "soon"),
]


@pytest.mark.parametrize(("kind", "value"), MISFITS)
def test_a_text_that_does_not_fit_is_null_and_told_of(kind: Kind, value: object) -> None:
    """Nothing is rounded, guessed or cut to fit: the column stays null and the event is known for it."""
    assert extract(kind, sent(value)) == (None, True)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("event", ['{"data": {"it": null}}', '{"data": {}}', '{"data": null}', "{}"])
def test_null_and_absent_mean_the_same(kind: Kind, event: str) -> None:
    """Wherever on the path nothing stands, the column is null and nothing is wrong with the event."""
    assert extract(kind, event) == (None, False)


FEES: list[tuple[object, object, object]] = [
    ([("1.10", "EUR"), ("2.20", "eur")], Decimal("3.30000000"), "EUR"),
    ([("-0.00000001", "BTC")], Decimal("-0.00000001"), "BTC"),
    ([("99999999999999999999", "JPY"), ("-1", "JPY")], Decimal("99999999999999999998.00000000"), "JPY"),
    ([("1", "EUR"), ("2", "USD")], None, None),
    ([], None, None),
]


@pytest.mark.parametrize(("fees", "total", "currency"), FEES)
def test_an_array_of_money_is_summed_in_one_currency_only(
    fees: list[tuple[str, str]], total: object, currency: object
) -> None:
    """Amounts of different currencies have no sum; those of one have an exact one."""
    event = sent([{"kind": "bank", "amount": {"amount": amount, "currency": code}} for amount, code in fees])

    assert extract(Kind.MONEY_SUM, event) == (total, False)
    assert extract(Kind.SHARED_CURRENCY, event) == (currency, False)


def test_the_structure_nests_as_the_paths_do() -> None:
    """One pass over the JSON gives every text that the columns need, and no more."""
    columns = (Column("a", "data.x.a"), Column("b", "data.x.b", Kind.DATE), Column("c", "c"))

    assert json.loads(structure(columns)) == {"data": {"x": {"a": "VARCHAR", "b": "VARCHAR"}}, "c": "VARCHAR"}


@pytest.fixture(scope="module")
def example_tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """The raw tables of all the example events."""
    line = Line(tmp_path_factory.mktemp("examples"))
    path = line.stage_bodies(("acme", raw) for raw in fixture_bodies(FIXTURES))
    segment = Segment(path.stem, path, path.stat().st_size)
    batch = read_batch([segment], 1, datetime.now(UTC), KnownEvents())
    return {name: rows.table for name, rows in batch.tables.items()}


@pytest.mark.parametrize("table", list(EVENT_COLUMNS))
def test_the_examples_have_the_documented_types(example_tables: dict[str, pa.Table], table: str) -> None:
    """Money is decimal(28, 8), instants are microseconds without a zone, and no column is ever a float."""
    schema = example_tables[table].schema

    for column in EVENT_COLUMNS[table]:
        assert schema.field(column.name).type == ARROW_TYPES[column.kind]
    assert schema.field("occurred_at").type == pa.timestamp("us")
    assert schema.field("lifecycle_rank").type == schema.field("load_seq").type == pa.int64()
    assert not [field.name for field in schema if pa.types.is_floating(field.type)]


def test_the_examples_arrive_whole(example_tables: dict[str, pa.Table]) -> None:
    """Every scalar of an example that a column is made for stands in that column, and in the payload as sent."""
    rows = {row["event_id"]: (table, row) for table in EVENT_COLUMNS for row in example_tables[table].to_pylist()}
    bodies = fixture_bodies(FIXTURES)

    assert len(rows) == len(bodies)
    for raw in bodies:
        event = json.loads(raw)
        table, row = rows[event["id"]]
        assert row["payload"] == raw.decode()
        assert (row["event_type"], row["schema_version"]) == (event["type"], "1.0")
        assert row["lifecycle_rank"] == EVENT_TYPES[event["type"]].lifecycle_rank
        assert row["has_synthetic_id"] is False
        for column in EVENT_COLUMNS[table]:
            assert row[column.name] == _expected(column, event), f"{event['id']} {column.name}"


def _expected(column: Column, event: Any) -> object:
    value = event
    for step in column.path.split("."):
        value = None if value is None else value.get(step)
    if value is None:
        return None
    match column.kind:
        case Kind.MONEY | Kind.DECIMAL:
            return Decimal(value)
        case Kind.TIMESTAMP:
            return datetime.fromisoformat(value).replace(tzinfo=None)
        case Kind.DATE:
            return date.fromisoformat(value)
        case Kind.JSON:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        case Kind.MONEY_SUM:
            return sum(Decimal(each["amount"]["amount"]) for each in value)
        case Kind.SHARED_CURRENCY:
            return str(value[0]["amount"]["currency"])
        case _:
            return value
