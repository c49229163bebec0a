"""The optional inputs from a table of another database: SQLite, through SQLAlchemy as any other."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipelines.input_rows import InputRefusedError
from pipelines.input_sql import KnownRows, SqlTable, TableReading, decoded, encoded, read_table
from tests.input_files import InputLine, shape

RATES = """
create table rates (
    day date, base text, quote_currency text, rate numeric(28, 12), changed_at timestamp, remark text
)
"""
RENAMED = {"rate_date": "day", "base_currency": "base"}


class Office:
    """Another database, and how it is read."""

    def __init__(self, root: Path) -> None:
        self.url = f"sqlite:///{root / 'office.db'}"
        self.execute(RATES)

    def execute(self, sql: str) -> None:
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(sa.text(sql))
        engine.dispose()

    def add(self, day: int, rate: str, changed_at: str | None) -> None:
        # As SQLAlchemy writes and compares them; SQLite itself has only text.
        moment = "null" if changed_at is None else f"'2026-07-{changed_at}.000000'"
        self.execute(f"insert into rates values ('2026-07-0{day}', 'EUR', 'usd', {rate}, {moment}, 'private')")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def _read(office: Office, known: KnownRows | None, cursor: str | None = None) -> TableReading | None:
    return read_table(SqlTable(office.url, "rates", cursor), shape("fx_rates", columns=RENAMED, without=()), known)


def _rates(reading: TableReading | None) -> list[Any]:
    assert reading is not None
    return [row["rate"] for row in reading.rows.rows.to_pylist()]


def test_a_table_is_loaded_whole_once_for_every_change(tmp_path: Path, office: Office) -> None:
    """Without a cursor the table is what it holds now: rows that went are gone, and an unchanged one is left alone."""
    line, table = InputLine(tmp_path), SqlTable(office.url, "rates")
    how = shape("fx_rates", columns=RENAMED)
    office.add(1, "1.1", None)
    office.add(2, "1.2", None)
    assert [file.rows for file in line.load(how, table).files] == [2]
    assert line.load(how, table).files == ()
    office.execute("delete from rates where rate = 1.1")
    assert [file.rows for file in line.load(how, table).files] == [1]
    assert [(row["quote_currency"], row["rate"]) for row in line.table("fx_rates")] == [("USD", Decimal("1.2"))]
    assert line.query("select file, load_seq from raw.fx_rates") == [("rates", 2)]


def test_a_cursor_reads_only_what_is_new(tmp_path: Path, office: Office) -> None:
    """With a cursor, rows that are new or changed take the place of their key, and all others stay."""
    line, table = InputLine(tmp_path), SqlTable(office.url, "rates", "changed_at")
    how = shape("fx_rates", columns=RENAMED)
    office.add(1, "1.1", "01 10:00:00")
    office.add(2, "1.2", "02 10:00:00")
    office.add(9, "9.9", None)
    (first,) = line.load(how, table).files
    assert [str(wrong) for wrong in first.wrong] == ["'changed_at' is null in 1 rows, which therefore are never read"]
    assert line.load(how, table).files == ()
    office.execute("delete from rates where rate = 1.1")
    office.add(2, "1.25", "03 10:00:00")
    office.add(3, "0", "04 10:00:00")
    (second,) = line.load(how, table).files
    assert (second.rows, second.wrong_rows) == (1, 1)
    assert [row["rate"] for row in line.table("fx_rates")] == [Decimal("1.1"), Decimal("1.25")]
    assert len(line.errors()) == 2
    line.load(how, SqlTable(office.url, "rates"))
    assert [row["rate"] for row in line.table("fx_rates")] == [Decimal("1.25"), Decimal("9.9")]


def test_rows_that_come_at_the_very_end_of_the_last_reading_are_found(office: Office) -> None:
    """A row may be written with the cursor's last value after that was read; nothing is new when none was."""
    office.add(1, "1.1", "01 10:00:00")
    first = _read(office, None, "changed_at")
    assert first is not None
    assert _read(office, first.known, "changed_at") is None
    office.add(2, "1.2", "01 10:00:00")
    second = _read(office, first.known, "changed_at")
    assert _rates(second) == [Decimal("1.1"), Decimal("1.2")]
    assert second is not None
    office.add(3, "1.3", "01 10:00:01")
    assert _rates(_read(office, second.known, "changed_at")) == [Decimal("1.3")]


def test_of_one_key_the_row_with_the_latest_cursor_stays(tmp_path: Path, office: Office) -> None:
    """A table that only grows has several rows of a key, in whatever order they were written."""
    line = InputLine(tmp_path)
    for rate, moment in (("1.3", "03 10:00:00"), ("1.1", "01 10:00:00"), ("1.2", "02 10:00:00")):
        office.add(1, rate, moment)
    line.load(shape("fx_rates", columns=RENAMED), SqlTable(office.url, "rates", "changed_at"))
    assert [row["rate"] for row in line.table("fx_rates")] == [Decimal("1.3")]


@pytest.mark.parametrize(
    ("table", "cursor", "sentence"),
    [
        ("prices", None, "There is no table prices"),
        ("rates", "updated", "There is no column 'updated'; found: day, base,"),
    ],
)
def test_what_is_not_there_is_named(office: Office, table: str, cursor: str | None, sentence: str) -> None:
    """A wrong name of a table or cursor is refused in a sentence."""
    with pytest.raises(InputRefusedError, match=sentence):
        read_table(SqlTable(office.url, table, cursor), shape("fx_rates", columns=RENAMED), None)


@pytest.mark.parametrize("url", ["hunter2", "nosuch://user:hunter2@host/db", "sqlite:////hunter2/no/such/dir/x.db"])
def test_the_url_is_never_repeated(tmp_path: Path, url: str) -> None:
    """It may hold a password, so neither the sentence nor the loader's own words have it."""
    with pytest.raises(InputRefusedError) as refused:
        read_table(SqlTable(url, "rates"), shape("fx_rates"), None)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(InputLine(tmp_path).loader((shape("fx_rates"), SqlTable(url, "rates"))))


def test_a_table_that_stays_away_is_told_each_time_and_recorded_once(tmp_path: Path) -> None:
    """Looking again does not fill the warehouse; once the table is there it is loaded."""
    line, office = InputLine(tmp_path), Office(tmp_path)
    how, table = shape("fx_rates", columns=RENAMED), SqlTable(office.url, "rates")
    office.execute("alter table rates rename to mislaid")
    for _ in range(2):
        assert [file.refusal is None for file in line.load(how, table).files] == [False]
    assert line.query("select load_seq from raw.input_errors") == [(1,)]
    office.execute("alter table mislaid rename to rates")
    office.add(1, "1.1", None)
    assert line.load(how, table).is_right
    assert (line.errors(), len(line.table("fx_rates"))) == ([], 1)


def test_a_server_that_was_away_is_not_read_from_the_beginning(tmp_path: Path, office: Office) -> None:
    """The reading goes on where it ended; what was said of wrong rows stays, and of the server goes."""
    line, how = InputLine(tmp_path), shape("fx_rates", columns=RENAMED)
    table = SqlTable(office.url, "rates", "changed_at")
    office.add(1, "1.1", "01 10:00:00")
    office.add(2, "0", "02 10:00:00")
    line.load(how, table)
    office.execute("alter table rates rename to mislaid")
    line.load(how, table)
    assert len(line.errors()) == 2
    office.execute("alter table mislaid rename to rates")
    assert [(file.rows, file.refusal) for file in line.load(how, table).files] == [(0, None)]
    assert line.errors() == [("rates", 2, "rate", "is not above 0")]
    assert line.load(how, table).files == ()
    office.add(3, "1.3", "03 10:00:00")
    assert [file.rows for file in line.load(how, table).files] == [1]
    assert len(line.table("fx_rates")) == 2


@pytest.mark.parametrize(
    "end", [7, "x", Decimal("1.50"), datetime(2026, 7, 1, 10, 0, 0, 5), datetime(2026, 7, 1).date()]
)
def test_the_end_of_a_reading_is_kept_exactly(end: Any) -> None:
    """Text and back, it is the same value of the same type; what cannot be compared later is refused."""
    assert (decoded(encoded(end)), type(decoded(encoded(end)))) == (end, type(end))
    with pytest.raises(InputRefusedError, match="take a column of whole numbers"):
        encoded(1.5)
