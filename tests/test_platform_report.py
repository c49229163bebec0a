"""A platform's report as typed rows: exact money in every format, days and moments, and wrong rows by their line."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.platform_report import PlatformReport, ReportShape, read_report
from pipelines.report_file import Cell, FileLayout, ReportError
from pipelines.report_values import (
    Moment,
    NumberStyle,
    UnreadableCellError,
    count_of,
    day_of,
    from_minor_units,
    moment_of,
    money_of,
    text_of,
)

MALTA = ZoneInfo("Europe/Malta")
COMMA = NumberStyle(",", ".")
SHAPE = ReportShape(
    columns={"id": "Ref", "partner": "Who", "day": "Date", "amount": "Total"},
    constants={"kind": "conversion", "currency": "EUR"}, zone=ZoneInfo("UTC"),
)  # fmt: skip


def read(path: Path, content: str | bytes, shape: ReportShape = SHAPE) -> PlatformReport:
    """The report in a file of this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_report(path, shape)


@pytest.mark.parametrize(
    ("cell", "style", "amount"),
    [
        ("1234.50", NumberStyle(), "1234.5"),
        ("-0.00000001", NumberStyle(), "-0.00000001"),
        ("99999999999999999999.999999999999999999", NumberStyle(), "99999999999999999999.999999999999999999"),
        ("1.234.567,89", COMMA, "1234567.89"),
        ("1234567,89", COMMA, "1234567.89"),
        ("1\u202f234,5", NumberStyle(",", " "), "1234.5"),
        ("1'234.5", NumberStyle(".", "'"), "1234.5"),
        ("(120.00)", NumberStyle(), "-120"),
        ("\u2212$1,234.50", NumberStyle(".", ","), "-1234.5"),
        ("€ -12", NumberStyle(), "-12"),
        ("+7", NumberStyle(), "7"),
        (0.1, COMMA, "0.1"),
        (0.1 + 0.2, COMMA, "0.3"),
        (1e22, NumberStyle(), None),
        (12, COMMA, "12"),
        (Decimal("12.3400000000000000000000"), COMMA, "12.34"),
        (Decimal("1e-19"), NumberStyle(), None),
        ("0.0000000000000000001", NumberStyle(), None),
        ("1,234.50", NumberStyle(), None),
        ("1,23,456.00", NumberStyle(".", ","), None),
        ("1.234", COMMA, "1234"),
        ("12,", COMMA, None),
        ("1e5", NumberStyle(), None),
        ("--1", NumberStyle(), None),
        ("nan", NumberStyle(), None),
        (float("inf"), NumberStyle(), None),
        ("١٢", NumberStyle(), None),
        (True, NumberStyle(), None),
        (date(2026, 1, 1), NumberStyle(), None),
    ],
)  # fmt: skip
def test_an_amount_is_what_is_written_to_the_last_digit(cell: Cell, style: NumberStyle, amount: str | None) -> None:
    """Text by the configured separators, numbers by their shortest decimal; what could mean two things is refused."""
    if amount is None:
        with pytest.raises(UnreadableCellError):
            money_of(cell, style)
    else:
        assert money_of(cell, style) == Decimal(amount)


@given(st.decimals(min_value=-(10**20) + 1, max_value=10**20 - 1, places=8), st.sampled_from("., '"))
def test_any_amount_of_ours_is_read_as_it_is(amount: Decimal, thousands: str) -> None:
    """However its thousands are parted, an amount that the warehouse can hold comes out with all its digits."""
    style = NumberStyle("," if thousands == "." else ".", thousands)
    integer, _, decimals = f"{amount.copy_abs():f}".partition(".")
    text = f"{'-' * amount.is_signed()}{int(integer):,}".replace(",", thousands) + style.decimal + decimals
    assert money_of(text, style) == amount


def test_minor_units_are_moved_exactly() -> None:
    """Cents, yen and wei: the point moves, and no digit is lost."""
    assert from_minor_units(Decimal(12345), 2) == Decimal("123.45")
    assert from_minor_units(Decimal(12345), 0) == 12345
    assert str(from_minor_units(Decimal(12345678901234567890123456789012345678), 18)).startswith(
        "12345678901234567890.1234"
    )
    with pytest.raises(UnreadableCellError):
        from_minor_units(Decimal("0.5"), 18)


def test_counts_are_whole() -> None:
    """A count is no fraction and not below zero, whatever type holds it."""
    assert (count_of("1.234", COMMA), count_of(3.0, COMMA), count_of(None, COMMA)) == (1234, 3, None)
    for cell in ("1,5", -1, 2.5, "many", 10**19):
        with pytest.raises(UnreadableCellError):
            count_of(cell, COMMA)


@pytest.mark.parametrize(
    ("cell", "date_format", "day"),
    [
        ("2026-03-29", None, date(2026, 3, 29)),
        ("29.03.2026", "%d.%m.%Y", date(2026, 3, 29)),
        (datetime(2026, 3, 29), "%d.%m.%Y", date(2026, 3, 29)),
        (date(2026, 3, 29), None, date(2026, 3, 29)),
        (datetime(2026, 3, 29, 12), None, None),
        ("2026-03-29T12:00:00Z", None, None),
        ("29.03.2026", None, None),
        ("2026-02-30", None, None),
        (20260329, None, None),
        (None, None, None),
    ],
)  # fmt: skip
def test_a_day_is_a_day(cell: Cell, date_format: str | None, day: date | None) -> None:
    """Text as configured or a spreadsheet's date; a time is refused, because its day depends on a zone."""
    if day is None and cell is not None:
        with pytest.raises(UnreadableCellError):
            day_of(cell, date_format)
    else:
        assert day_of(cell, date_format) == day


@pytest.mark.parametrize(
    ("cell", "date_format", "first", "second"),
    [
        ("2026-06-01 00:30:00", None, datetime(2026, 5, 31, 22, 30), None),
        ("2026-06-01T00:30:00+00:00", None, datetime(2026, 6, 1, 0, 30), None),
        ("01/06/2026 00:30", "%d/%m/%Y %H:%M", datetime(2026, 5, 31, 22, 30), None),
        (datetime(2026, 6, 1, 0, 30), None, datetime(2026, 5, 31, 22, 30), None),
        (datetime(2026, 6, 1, 0, 30, tzinfo=UTC), None, datetime(2026, 6, 1, 0, 30), None),
        ("1780273800", "unix", datetime(2026, 6, 1, 0, 30), None),
        (1780273800123, "unix_ms", datetime(2026, 6, 1, 0, 30, 0, 123000), None),
        ("2026-10-25 02:30:00", None, datetime(2026, 10, 25, 0, 30), datetime(2026, 10, 25, 1, 30)),
        ("2026-03-29 02:30:00", None, None, None),
        ("2026-06-01", None, None, None),
        ("soon", None, None, None),
        ("soon", "unix", None, None),
        ("9" * 30, "unix", None, None),
        ("0001-01-01 00:00:00", None, None, None),
        (5, None, None, None),
    ],
)  # fmt: skip
def test_a_moment_is_an_instant(
    cell: Cell, date_format: str | None, first: datetime | None, second: datetime | None
) -> None:
    """A local time is one of the report's zone: it may have come twice, and where it never came, the zone is wrong."""
    if first is None:
        with pytest.raises(UnreadableCellError):
            moment_of(cell, date_format, MALTA)
    else:
        assert moment_of(cell, date_format, MALTA) == Moment(first, second)


def test_an_id_may_be_a_number() -> None:
    """Spreadsheets hold ids as numbers; they are their digits, without a point."""
    assert [text_of(cell) for cell in (17, 17.0, Decimal("17.0"), " a b ", None)] == ["17", "17", "17", "a b", None]


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    """CSV, XLSX and Parquet, with text or with numbers and dates in their cells, say the same."""
    amounts = ["10.5", "-0.00000001", "1999.99000001", "0.3"]
    who = ["a", "é", "事", None]
    texts = {"Ref": ["1", "2", "3", "4"], "Who": who, "Date": ["2026-03-29"] * 4, "Total": amounts}
    typed: dict[str, list[Any]] = {
        "Ref": [1, 2, 3, 4], "Who": who, "Date": [date(2026, 3, 29)] * 4,
        "Total": [10.5, -1e-8, 1999.99000001, 0.1 + 0.2],
    }  # fmt: skip
    pd.DataFrame(texts).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame(typed).to_excel(tmp_path / "b.xlsx", index=False, sheet_name="July")
    pd.DataFrame(texts).to_excel(tmp_path / "c.xlsx", index=False)
    pq.write_table(pa.table(typed), tmp_path / "d.parquet")
    typed["Total"] = [Decimal(each) for each in amounts]
    typed["Date"] = [pd.Timestamp(2026, 3, 29)] * 4
    pq.write_table(pa.table(typed), tmp_path / "e.parquet")
    rows = [read_report(path, SHAPE).rows.drop_columns("line").to_pylist() for path in sorted(tmp_path.iterdir())]
    assert len(rows) == 5
    assert all(each == rows[0] for each in rows)
    assert [row["amount"] for row in rows[0]] == [Decimal(each) for each in amounts]
    assert rows[0][3] == {
        "kind": "conversion", "id": "4", "partner": None, "currency": "EUR", "amount": Decimal("0.3"), "events": 1,
        "day": date(2026, 3, 29), "happened_at": None, "other_happened_at": None,
    }  # fmt: skip
    pq.write_table(pa.table({**typed, "Total": pa.array([0.1] * 4, pa.float32())}), tmp_path / "f.parquet")
    assert read_report(tmp_path / "f.parquet", SHAPE).rows["amount"][0].as_py() == Decimal("0.1")


def test_wrong_rows_are_named_by_their_line(tmp_path: Path) -> None:
    """Blank lines, line breaks within cells and lines above the header are counted as an editor counts them."""
    text = (
        'Report for "July"\nRef,Who,Date,Total\n1,"two\nlines",2026-03-29,10\n\n2,a,2026-03-29,ten\n,a,2026-03-29,1\n'
        "4,a,29.3.2026,1\n5,a,2026-03-29\n6,a,,1\n7,a,2026-03-29,7\nTotal,,,18\n"
    )
    shape = replace(SHAPE, layout=FileLayout(skip_rows=1, skip_last_rows=1))
    report = read(tmp_path / "r.csv", text, shape)
    assert [(row["line"], row["id"]) for row in report.rows.to_pylist()] == [(3, "1"), (11, "7")]
    assert [(row.line, row.id) for row in report.wrong_rows] == [(6, "2"), (7, None), (8, "4"), (9, None), (10, "6")]
    assert [row.reason for row in report.wrong_rows] == [
        "'Total': 'ten' is not an amount written as `decimal` and `thousands` say",
        "its id is blank",
        "'Date': '29.3.2026' is not a time written as `date_format` says",
        "it has more or fewer cells than the header",
        "'Date' is blank",
    ]
    blank, row = [None] * 3, ["2", "a", "2026-03-29", "ten"]
    frame = pd.DataFrame([["Report", *blank], list(SHAPE.columns.values()), [None, *blank], row, ["Total", *blank]])
    frame.to_excel(tmp_path / "r.xlsx", index=False, header=False)
    assert [row.line for row in read_report(tmp_path / "r.xlsx", shape).wrong_rows] == [4]


def test_kinds_are_mapped_and_others_are_wrong(tmp_path: Path) -> None:
    """A value is ours, mapped to ours, left out on purpose, or a wrong row; blank cells take the constant."""
    shape = replace(
        SHAPE,
        columns={"id": "Ref", "kind": "Type", "currency": "Cur", "amount": "Total"},
        constants={"currency": "EUR"}, kinds={"Sale": "conversion", "Click": "ignored", "Paid": "payout"},
    )  # fmt: skip
    text = (
        "Ref,Type,Cur,Total\n1,Sale,usd,1\n2,Click,,\n3,commission,,2\n4,Lead,EUR,1\n5,,EUR,1\n6,Sale,LOL,1\n7,Sale,,\n"
    )
    report = read(tmp_path / "r.csv", text, shape)
    assert [(row["kind"], row["currency"]) for row in report.rows.to_pylist()] == [
        ("conversion", "USD"), ("commission", "EUR"), ("conversion", "EUR"),
    ]  # fmt: skip
    assert report.ignored == 1
    assert report.kinds == ["conversion", "commission", "payout"]
    assert [(row.line, row.reason) for row in report.wrong_rows] == [
        (5, "its kind 'Lead' is not among `kinds` of the report"), (6, "its kind is blank"),
        (7, "'LOL' is not a known currency"),
    ]  # fmt: skip
    no_currency = replace(shape, constants={})
    assert len(read(tmp_path / "r.csv", "Ref,Type,Cur,Total\n1,Sale,,1\n2,Sale,,0\n", no_currency).wrong_rows) == 1
    cents = replace(shape, has_minor_units=True)
    rows = read(
        tmp_path / "r.csv", "Ref,Type,Cur,Total\n1,Sale,EUR,1234\n2,Sale,JPY,1234\n3,Sale,KWD,1234\n", cents
    ).rows
    assert rows["amount"].to_pylist() == [Decimal("12.34"), Decimal(1234), Decimal("1.234")]


@pytest.mark.parametrize(
    ("name", "content", "layout", "complaint"),
    [
        ("r.csv", "Ref;Who;Date;Total\n", {}, "'Ref' is not a column of"),
        ("r.csv", "Ref,Who,Date,Total,Total\n", {}, "'Total' is there more than once"),
        ("r.csv", "", {}, "whose columns are: none"),
        ("r.csv", b"Ref,Who,Date,Total\n1,\xe9,,\n", {}, "is not utf-8"),
        ("r.csv", 'Ref,Who,Date,Total\n1,"a\n', {}, "cannot be read"),
        ("r.xlsx", "not one", {}, "cannot be read as XLSX"),
        ("r.parquet", "not one", {}, "cannot be read as Parquet"),
        ("r.pdf", "", {}, "is none of .csv"),
        ("missing.csv", None, {}, "cannot be read"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_as_configured_is_refused(
    tmp_path: Path, name: str, content: str | bytes | None, layout: Mapping[str, Any], complaint: str
) -> None:
    """A renamed column, another encoding, a damaged file: one sentence that says what is there and what to do."""
    shape = replace(SHAPE, layout=FileLayout(**layout))
    with pytest.raises(ReportError, match=complaint) as refused:
        read_report(tmp_path / name, shape) if content is None else read(tmp_path / name, content, shape)
    assert str(refused.value).endswith(".")


def test_layouts_of_other_platforms_are_read(tmp_path: Path) -> None:
    """Semicolons and decimal commas, a byte order mark, Windows' encoding, a sheet by its name."""
    shape = replace(SHAPE, style=COMMA, layout=FileLayout(delimiter=";"))
    rows = read(tmp_path / "r.csv", b"\xef\xbb\xbfRef;Who;Date;Total\r\n1;a;2026-03-29;1.234,5\r\n", shape).rows
    assert rows["amount"].to_pylist() == [Decimal("1234.5")]
    shape = replace(SHAPE, layout=FileLayout(encoding="cp1252"))
    assert read(tmp_path / "r.csv", b"Ref,Who,Date,Total\n1,\xe9,2026-03-29,1\n", shape).rows[
        "partner"
    ].to_pylist() == ["é"]
    with pd.ExcelWriter(tmp_path / "r.xlsx") as book:
        pd.DataFrame({"Notes": ["x"]}).to_excel(book, sheet_name="Notes", index=False)
        frame = pd.DataFrame({"Ref": ["1"], "Who": ["a"], "Date": [datetime(2026, 3, 29)], "Total": [1]})
        frame.to_excel(book, sheet_name="July", index=False)
    shape = replace(SHAPE, layout=FileLayout(sheet="July"))
    assert read_report(tmp_path / "r.xlsx", shape).rows["day"].to_pylist() == [date(2026, 3, 29)]
    with pytest.raises(ReportError, match="no sheet 'June', only: Notes, July"):
        read_report(tmp_path / "r.xlsx", replace(SHAPE, layout=FileLayout(sheet="June")))
