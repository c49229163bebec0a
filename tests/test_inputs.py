"""The optional inputs from files to `raw`: every format, what changes, what is wrong."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from models.inputs import INPUTS
from pipelines.input_files import list_files, read_file
from pipelines.input_rows import InputRefusedError, InputShape, ReadRows
from pipelines.input_values import CellStyle
from pipelines.report_file import FileLayout
from pipelines.report_values import NumberStyle
from tests.input_files import FORMATS, NOON, ROWS, InputLine, as_loaded, shape, write_file, write_text

SPEND = "spend_date,source_id,partner_id,amount,currency\n"
RATES = "rate_date,base_currency,quote_currency,rate\n"
HEADERS = {
    "fx_rates": RATES.strip(),
    "accounting_periods": "period_month,closed_at",
    "player_activity": "source_id,customer_id,activity_date,currency,lots,is_active",
}


@pytest.mark.parametrize("extension", FORMATS)
def test_every_input_is_loaded_from_every_format(tmp_path: Path, extension: str) -> None:
    """What a spreadsheet, a CSV and a Parquet file say is the same rows, exactly."""
    line = InputLine(tmp_path)
    inputs = [(shape(name), write_file(tmp_path / f"{name}.{extension}", rows)) for name, rows in ROWS.items()]
    report = line.loader(*inputs).load()

    assert report.is_right
    assert {file.input: file.rows for file in report.files} == dict.fromkeys(INPUTS, 2)
    for name, rows in ROWS.items():
        assert line.table(name) == as_loaded(name, rows)
        assert line.query(f"select file, line, load_seq from raw.{name} order by line") == [
            (f"{name}.{extension}", place, 1) for place in ((1, 2) if extension == "parquet" else (2, 3))
        ]


def test_money_is_typed_as_that_of_events_is(tmp_path: Path) -> None:
    """Amounts join and add up with those of events, so they have the same type."""
    line = InputLine(tmp_path)
    line.load(shape("player_activity"), write_file(tmp_path / "a.csv", ROWS["player_activity"]))
    types = dict(
        line.query("select column_name, data_type from information_schema.columns where table_name = 'player_activity'")
    )
    assert (types["ggr"], types["lots"], types["activity_date"]) == ("DECIMAL(28,8)", "DECIMAL(38,18)", "DATE")
    assert types["loaded_at"] == "TIMESTAMP"


@pytest.mark.parametrize("extension", ["parquet", "xlsx"])
def test_a_binary_number_means_its_shortest_decimal(tmp_path: Path, extension: str) -> None:
    """0.1 + 0.2 in a spreadsheet is 0.3, and not 0.30000000000000004."""
    row = {**ROWS["marketing_spend"][0], "amount": 0.1 + 0.2}
    line = InputLine(tmp_path)
    line.load(shape("marketing_spend"), write_file(tmp_path / f"a.{extension}", [row]))
    assert line.table("marketing_spend")[0]["amount"] == Decimal("0.3")


def test_files_that_have_not_changed_are_not_read_again(tmp_path: Path) -> None:
    """A second load finds nothing to do, and a third reads the one file that is new, however old it says it is."""
    line = InputLine(tmp_path)
    write_text(tmp_path / "in" / "b.csv", RATES + "2026-07-02,EUR,USD,1.2\n")
    pattern = tmp_path / "in" / "*.csv"
    assert len(line.load(shape("fx_rates"), pattern).files) == 1
    assert line.load(shape("fx_rates"), pattern).files == ()
    write_text(tmp_path / "in" / "a.csv", RATES + "2026-07-01,EUR,USD,1.1\n", NOON - 86_400)
    assert [file.file for file in line.load(shape("fx_rates"), pattern).files] == ["a.csv"]
    assert [row["rate"] for row in line.table("fx_rates")] == [Decimal("1.1"), Decimal("1.2")]
    assert line.query("select load_seq from raw.fx_rates order by 1") == [(1,), (2,)]


def test_rows_that_a_changed_file_no_longer_has_go(tmp_path: Path) -> None:
    """A file says what is so: a row taken out of it is taken out of the table, its last one too."""
    line, path = InputLine(tmp_path), tmp_path / "a.csv"
    write_text(path, RATES + "2026-07-01,EUR,USD,1.1\n2026-07-02,EUR,USD,1.2\n")
    line.load(shape("fx_rates"), path)
    write_text(path, RATES + "2026-07-02,EUR,USD,1.3\n", NOON + 1)
    line.load(shape("fx_rates"), path)
    assert [row["rate"] for row in line.table("fx_rates")] == [Decimal("1.3")]
    write_text(path, RATES, NOON + 2)
    line.load(shape("fx_rates"), path)
    assert line.table("fx_rates") == []


def test_the_later_file_counts_and_the_older_one_again_without_it(tmp_path: Path) -> None:
    """Of one key in two files the younger file's row stays; once it has none, that of the older shows again."""
    line, pattern = InputLine(tmp_path), tmp_path / "in" / "*.csv"
    write_text(tmp_path / "in" / "z.csv", RATES + "2026-07-01,EUR,USD,1.1\n")
    young = write_text(tmp_path / "in" / "a.csv", RATES + "2026-07-01,EUR,USD,1.2\n", NOON + 60)
    line.load(shape("fx_rates"), pattern)
    assert [row["rate"] for row in line.table("fx_rates")] == [Decimal("1.2")]
    write_text(young, RATES, NOON + 120)
    line.load(shape("fx_rates"), pattern)
    assert [row["rate"] for row in line.table("fx_rates")] == [Decimal("1.1")]


def test_a_key_twice_in_one_file_is_told(tmp_path: Path) -> None:
    """The last one counts, and whoever meant their sum learns of it."""
    line = InputLine(tmp_path)
    rows = "2026-07-01,acme,p-1,10,EUR\n2026-07-01,acme,p-1,5,EUR\n"
    report = line.load(shape("marketing_spend"), write_text(tmp_path / "a.csv", SPEND + rows))
    assert [(file.rows, file.repeated) for file in report.files] == [(2, 1)]
    assert [row["amount"] for row in line.table("marketing_spend")] == [Decimal(5)]


def test_rows_of_a_file_that_is_gone_stay_and_move_with_it(tmp_path: Path) -> None:
    """Clearing out old files costs no history; the same file under another name takes its rows along."""
    line, pattern = InputLine(tmp_path), tmp_path / "in" / "**" / "*.csv"
    first = write_text(tmp_path / "in" / "a.csv", RATES + "2026-07-01,EUR,USD,1.1\n")
    second = write_text(tmp_path / "in" / "b.csv", RATES + "2026-07-02,EUR,USD,1.2\n")
    line.load(shape("fx_rates"), pattern)
    first.unlink()
    (tmp_path / "in" / "done").mkdir()
    moved = second.rename(tmp_path / "in" / "done" / "b.csv")
    line.load(shape("fx_rates"), pattern)
    assert line.query("select file from raw.fx_rates_rows order by 1") == [("a.csv",), ("done/b.csv",)]
    moved.unlink()
    report = line.load(shape("fx_rates"), pattern)
    assert "There is no file" in str(report.files[0].refusal)
    assert len(line.table("fx_rates")) == 2


WRONG_ROWS = {
    "2026-07-01,acme,p-1,ten,EUR": (
        "amount", "is not a number, decimals behind '.', or has over 20 digits or 18 decimals",
    ),
    "2026-07-01,acme,p-1,0.123456789,EUR": ("amount", "has more than 8 decimals"),
    "2026-07-01,acme,p-1,,EUR": ("amount", "is empty"),
    "01.07.2026,acme,p-1,10,EUR": ("spend_date", "is not a day, written YYYY-MM-DD"),
    "2026-07-01,acme,p-1,10,EURO": ("currency", "is not a known currency code"),
    "2026-07-01,,p-1,10,EUR": ("source_id", "is empty"),
    "2026-07-01,acme,,10,EUR": (None, "it has none of partner_id, campaign_id"),
    "2026-07-01,acme,p-1,10": (None, "it has more or fewer cells than there are columns"),
}  # fmt: skip


def test_wrong_rows_are_told_by_line_and_the_others_load(tmp_path: Path) -> None:
    """Each wrong row is reported and kept with its file, line and reason, and never with what it holds."""
    line = InputLine(tmp_path)
    good = "2026-07-09,acme,p-9,1,EUR"
    path = write_text(tmp_path / "a.csv", SPEND + "\n".join([*WRONG_ROWS, good]) + "\n")
    report = line.load(shape("marketing_spend"), path)

    expected = [("a.csv", place, *wrong) for place, wrong in enumerate(WRONG_ROWS.values(), start=2)]
    assert not report.is_right
    assert [(wrong.line, wrong.column, wrong.reason) for wrong in report.files[0].wrong] == [
        each[1:] for each in expected
    ]
    assert line.errors() == sorted(expected, key=lambda each: each[1])
    assert len(line.table("marketing_spend")) == 1
    write_text(path, SPEND + good + "\n", NOON + 1)
    assert line.load(shape("marketing_spend"), path).is_right
    assert line.errors() == []


@pytest.mark.parametrize(
    ("name", "row", "column"),
    [
        ("fx_rates", "2026-07-01,EUR,USD,0", "rate"),
        ("fx_rates", "2026-07-01,EUR,USD,-1", "rate"),
        ("fx_rates", "2026-07-01,EUR,,1", "quote_currency"),
        ("accounting_periods", "2026-07-02,", "period_month"),
        ("accounting_periods", "2026-08-01,soon", "closed_at"),
        ("player_activity", "acme,c-1,2026-07-01,EUR,1e3,yes", "lots"),
        ("player_activity", "acme,c-1,2026-07-01,EUR,,perhaps", "is_active"),
    ],
)
def test_cells_that_mean_nothing_are_wrong(tmp_path: Path, name: str, row: str, column: str) -> None:
    """Rates above zero, months by their first day, moments as ISO 8601 has them, flags that are one of two."""
    read = _read(shape(name), write_text(tmp_path / "a.csv", f"{HEADERS[name]}\n{row}\n"))
    assert ([(wrong.line, wrong.column) for wrong in read.wrong], read.rows.num_rows) == ([(2, column)], 0)


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        ("accounting_periods", "2026-07,2026-08-01", (date(2026, 7, 1), datetime(2026, 8, 1))),
        ("accounting_periods", "2026-07-01,2026-08-01T02:00:00+02:00", (date(2026, 7, 1), datetime(2026, 8, 1))),
        ("fx_rates", "20260701,eur,usdt,1.000000000000000001", (
            date(2026, 7, 1), "EUR", "USDT", Decimal("1.000000000000000001"),
        )),
    ],
)  # fmt: skip
def test_cells_may_be_written_in_several_ways(tmp_path: Path, name: str, row: str, expected: tuple[Any, ...]) -> None:
    """A month without a day, a moment with an offset or none, and a rate to its last decimal."""
    read = _read(shape(name), write_text(tmp_path / "a.csv", f"{HEADERS[name]}\n{row}\n"))
    assert tuple(read.rows.to_pylist()[0].values())[: len(expected)] == expected


def test_a_renamed_column_refuses_its_file_and_no_other(tmp_path: Path) -> None:
    """The sentence names what was expected and what was found; what was loaded of the file before stays."""
    line, pattern = InputLine(tmp_path), tmp_path / "in" / "*.csv"
    renamed = write_text(tmp_path / "in" / "a.csv", RATES + "2026-07-01,EUR,USD,1.1\n")
    line.load(shape("fx_rates"), pattern)
    write_text(renamed, RATES.replace("rate\n", "fx\n") + "2026-07-01,EUR,USD,9.9\n", NOON + 1)
    write_text(tmp_path / "in" / "b.csv", RATES + "2026-07-02,EUR,USD,1.2\n")
    refused, loaded = line.load(shape("fx_rates"), pattern).files

    assert refused.refusal == (
        "There is no column 'rate'; expected: rate_date, base_currency, quote_currency, rate; found: rate_date, "
        "base_currency, quote_currency, fx. Say in the configuration how they are called (`columns`), or which of the "
        "optional ones there are not (`without`)."
    )
    assert (loaded.file, loaded.rows) == ("b.csv", 1)
    assert line.errors() == [("a.csv", None, None, refused.refusal)]
    assert [row["rate"] for row in line.table("fx_rates")] == [Decimal("1.1"), Decimal("1.2")]
    assert line.load(shape("fx_rates", columns={"rate": "fx"}), renamed).is_right
    assert line.table("fx_rates")[0]["rate"] == Decimal("9.9")


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("source_id,customer_id,activity_date,currency,gross", "ggr"),
        ("source_id,activity_date,currency,ggr", "customer_id"),
        ("source_id,customer_id,activity_date,currency,ggr,ggr", "ggr"),
        ("", "source_id"),
    ],
)
def test_a_column_that_seems_renamed_is_not_taken_for_absent(tmp_path: Path, header: str, named: str) -> None:
    """An optional column may be missing, but not where a stranger stands in the header: null is no guess."""
    with pytest.raises(InputRefusedError, match=f"column '{named}'"):
        _read(shape("player_activity"), write_text(tmp_path / "a.csv", header + "\n"))


def test_optional_columns_may_be_absent(tmp_path: Path) -> None:
    """A file that has only what it needs, and no stranger, is taken; what it has not is null."""
    text = "source_id,customer_id,activity_date,currency\nacme,c-1,2026-07-01,EUR\n"
    (row,) = _read(shape("player_activity"), write_text(tmp_path / "a.csv", text)).rows.to_pylist()
    assert (row["customer_id"], row["ggr"], row["is_active"]) == ("c-1", None, None)


def test_columns_that_are_said_to_be_absent_are_null(tmp_path: Path) -> None:
    """Said once, absent columns are null beside strangers; constants stand in for columns and for blank cells."""
    text = "Player;Day;Currency;GGR;Comment\n007;01.07.2026;;1.234,50;hello\n"
    every = ("bonus_cost", "chargebacks", "payment_fees", "gaming_tax", "other_deductions", "deposits", "withdrawals")
    activity = shape(
        "player_activity",
        columns={"customer_id": "Player", "activity_date": "Day", "currency": "Currency", "ggr": "GGR"},
        constants={"source_id": "acme", "currency": "sek"},
        without=(*every, "lots", "is_active"),
        layout=FileLayout(delimiter=";"),
        style=CellStyle(NumberStyle(",", "."), "%d.%m.%Y"),
    )
    read = _read(activity, write_text(tmp_path / "a.csv", text))
    (row,) = read.rows.to_pylist()
    assert read.wrong == ()
    assert (row["source_id"], row["customer_id"], row["currency"]) == ("acme", "007", "SEK")
    assert (row["ggr"], row["deposits"]) == (Decimal("1234.5"), None)


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet", "a.csv", "a.pdf"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    """A damaged file, or one of another kind, is named, and keeps no other from loading."""
    line = InputLine(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(b"\xff\xfe\x00 no such thing")
    write_text(tmp_path / "in" / "good.csv", RATES + "2026-07-02,EUR,USD,1.2\n")
    refused, loaded = line.load(shape("fx_rates"), tmp_path / "in" / "*").files
    assert (refused.file, loaded.rows) == (name, 1)
    assert name in str(refused.refusal)


def test_no_input_makes_no_table(tmp_path: Path) -> None:
    """Who configures none has no warehouse opened for them."""
    line = InputLine(tmp_path)
    assert line.loader().load().files == ()
    assert not line.warehouse.database.exists()


def _read(how: InputShape, path: Path) -> ReadRows:
    (file,) = list_files(path)
    return read_file(file, how)
