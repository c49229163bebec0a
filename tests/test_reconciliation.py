"""The platform's own report against a real built warehouse: what differs is found and named, and nothing else is."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from hookmart.commands import app
from pipelines.held_rows import CONVERSION_MONEY, KINDS, PAYOUT_MONEY, REJECTION_MONEY, HeldMoney, MartReader
from pipelines.platform_report import ReportShape, read_report
from pipelines.publish import open_published
from pipelines.reconciliation import Comparison, Reconciliation, reconcile
from pipelines.report_file import ReportError
from pipelines.report_values import NumberStyle
from tests.line import Line
from tests.platform_exports import CLOCK, PAID, Exported, ExportStyle, created, one_per_id, truth, write_export
from tests.programmes import random_programme

ZONES = ("UTC", "Europe/Malta", "America/Havana", "Pacific/Kiritimati", "Australia/Lord_Howe")
STATED = Comparison("acme", "Europe/Malta")
TAMPERINGS = ("remove", "add", "amount", "partner", "currency", "day", "repeat")


@dataclass(frozen=True, repr=False)
class Built:
    """A built warehouse, a reader of its marts, and what is in it."""

    line: Line
    read: MartReader
    rows: list[Exported]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """A programme of four currencies, and a second sender who sends around the changes of the clocks."""
    line = Line(tmp_path_factory.mktemp("reconciled") / "var", timezone="Europe/Malta")
    clock = [created(number, at) for number, at in enumerate(CLOCK)]
    line.stage_posts([*random_programme(7, partners=6, conversions=40, payouts=20), *clock, PAID])
    line.load()
    line.build()
    with open_published(line.root / "published") as connection:
        yield Built(line, lambda sql, values: connection.sql(sql, params=dict(values)).to_arrow_table(),
                    truth(line, "acme"))  # fmt: skip


def compare(built: Built, rows: list[Exported], style: ExportStyle, comparison: Comparison = STATED) -> Reconciliation:
    """Export *rows* in *style*, read the export and compare it."""
    with TemporaryDirectory() as directory:
        report = read_report(write_export(rows, Path(directory) / "export", style), style.shape)
    assert not report.wrong_rows
    return reconcile(built.read, report, style.shape, comparison)


def found(outcome: Reconciliation) -> list[dict[str, Any]]:
    """The differences."""
    rows: list[dict[str, Any]] = outcome.differences.to_pylist()
    return rows


styles = st.builds(
    ExportStyle,
    suffix=st.sampled_from((".csv", ".xlsx", ".parquet")),
    is_by_id=st.booleans(),
    has_timestamps=st.booleans(),
    zone=st.sampled_from(ZONES),
    style=st.sampled_from((NumberStyle(), NumberStyle(",", "."), NumberStyle(".", "'"))),
)


@settings(max_examples=15, deadline=None)
@given(style=styles, has_offsets=st.booleans(), kinds=st.sets(st.sampled_from(KINDS), min_size=1))
def test_an_untouched_export_agrees(built: Built, style: ExportStyle, has_offsets: bool, kinds: set[str]) -> None:  # noqa: FBT001
    """In whatever format, zone, shape and choice of kinds the platform writes down the truth, nothing is found."""
    # A sum of local times cannot say which of two equal clock times it means; an id can.
    style = replace(style, has_offsets=has_offsets or not style.is_by_id)
    rows = [row for row in built.rows if row.kind in kinds]
    outcome = compare(built, one_per_id(rows) if style.is_by_id else rows, style)
    assert found(outcome) == []
    assert outcome.is_equal
    assert not outcome.notes
    assert {total.kind for total in outcome.totals} == {row.kind for row in rows}
    for total in outcome.totals:
        amounts = [row.amount or 0 for row in rows if (row.kind, row.currency) == (total.kind, total.currency)]
        assert total.amount == total.held_amount == sum(amounts)
        assert total.events == total.held_events


def tampered(row: Exported, how: str, last: datetime) -> list[Exported]:
    """What stands in the export in the place of *row*."""
    match how:
        case "remove":
            return []
        case "add":
            return [row, replace(row, id=f"{row.id}-never-sent")]
        case "amount":
            return [replace(row, amount=(row.amount or 0) + Decimal("0.00000001"))]
        case "partner":
            return [replace(row, partner="ptn_nobody")]
        case "currency":
            return [replace(row, currency="CHF")]
        case "day":
            day = timedelta(days=1)
            return [replace(row, at=row.at + day if row.at + day < last else row.at - day)]
    return [row, row]


@settings(max_examples=40, deadline=None)
@given(style=styles, how=st.sampled_from(TAMPERINGS), data=st.data())
def test_any_single_tampering_is_found_and_named(
    built: Built, style: ExportStyle, how: str, data: st.DataObject
) -> None:
    """One row removed, added, repeated or changed in one thing is the one difference, and it says which thing."""
    rows = one_per_id(built.rows) if style.is_by_id else built.rows
    index = data.draw(
        st.sampled_from([number for number, row in enumerate(rows) if row.amount is not None and row.events])
    )
    row, last = rows[index], max(each.at for each in rows)
    days = replace(STATED, since=date(2025, 1, 1), until=date(2027, 1, 1))
    outcome = compare(built, [*rows[:index], *tampered(row, how, last), *rows[index + 1 :]], style, days)
    assert not outcome.is_equal
    differences = found(outcome)
    assert {each["kind"] for each in differences} == {row.kind}
    assert row.partner in {each[side] for each in differences for side in ("partner", "held_partner")}
    if style.is_by_id:
        (difference,) = differences
        fate = {"remove": "extra", "add": "missing", "repeat": "repeated"}.get(how, "different")
        assert (difference["fate"], difference["differs"]) == (fate, how if fate == "different" else None)
        assert difference["id"].removesuffix("-never-sent") == row.id
        if how == "amount":
            assert difference["difference"] == Decimal("0.00000001")
    elif how == "amount":
        assert [each["difference"] for each in differences] == [Decimal("0.00000001")]
    else:
        assert len(differences) == (2 if how in {"partner", "currency", "day"} else 1)


@pytest.mark.parametrize("zone", ZONES[1:4])
@pytest.mark.parametrize("is_by_id", [True, False])
def test_days_are_those_of_the_reports_own_zone(built: Built, zone: str, is_by_id: bool) -> None:  # noqa: FBT001
    """Around midnight and the changes of the clocks, days of any zone agree; taken for another's, they do not."""
    rows = truth(built.line, "clock")
    style = ExportStyle(zone=zone, is_by_id=is_by_id)
    assert compare(built, rows, style, Comparison("clock", "Europe/Malta")).is_equal
    other = replace(style, zone="Pacific/Niue")
    with TemporaryDirectory() as directory:
        report = read_report(write_export(rows, Path(directory) / "export", style), other.shape)
    assert not reconcile(built.read, report, other.shape, Comparison("clock", "Europe/Malta")).is_equal


@pytest.mark.parametrize("zone", ["UTC", "America/Havana", "America/Jamaica"])
def test_a_clock_time_that_came_twice_is_either(built: Built, zone: str) -> None:
    """Half past midnight, when Havana sets its clocks back, may be two days elsewhere; either agrees."""
    style = ExportStyle(has_timestamps=True, has_offsets=False, zone="America/Havana")
    assert compare(built, truth(built.line, "clock"), style, Comparison("clock", zone)).is_equal


def test_days_that_are_not_covered_are_a_note(built: Built) -> None:
    """Before the first event nothing is missing; after the newest we are behind; neither is a thousand lines."""
    rows = truth(built.line, "clock")
    early = [
        replace(rows[0], id=f"old_{number}", at=datetime(2025, 5, 1) + timedelta(days=number)) for number in range(30)
    ]
    outcome = compare(built, rows + early, ExportStyle(), Comparison("clock"))
    assert outcome.is_equal
    assert outcome.notes == (
        ["30 rows of the report, 2025-05-01 to 2025-05-30, are before the first event that is held, of 2026-03-28:"
         " not compared"]
    )  # fmt: skip
    late = [replace(each, id=each.id.upper(), at=each.at + timedelta(days=600)) for each in early]
    outcome = compare(built, rows + late, ExportStyle(), Comparison("clock"))
    assert (outcome.differences.num_rows, outcome.is_behind, outcome.is_equal) == (0, True, False)
    assert "after the newest event that is held, of 2026-11-01" in outcome.notes[0]
    outcome = compare(built, rows + late, ExportStyle(), Comparison("clock", until=date(2026, 11, 1)))
    assert outcome.is_equal
    assert outcome.notes == ["30 rows of the report are of other days than those asked for"]
    outcome = compare(built, rows, ExportStyle(), Comparison("nobody"))
    assert (outcome.differences.num_rows, outcome.is_equal) == (0, False)
    assert outcome.notes == ["nothing of 'nobody' is held, so nothing was compared"]


def test_only_the_days_asked_for_are_compared(built: Built) -> None:
    """What either side has on other days is no difference, but a row that has moved out of them is one."""
    rows = truth(built.line, "clock")
    days = Comparison("clock", since=date(2026, 10, 25), until=date(2026, 10, 25))
    assert {total.events for total in compare(built, rows, ExportStyle(), days).totals} == {2}
    moved = [replace(row, at=row.at + timedelta(days=3)) if row.id == "cnv_5" else row for row in rows]
    (difference,) = found(compare(built, moved, ExportStyle(), days))
    assert (difference["id"], difference["differs"]) == ("cnv_5", "day")
    assert (difference["day"], difference["held_day"]) == (date(2026, 10, 28), date(2026, 10, 25))


def shape_of(**columns: str) -> ReportShape:
    """A report of conversions in EUR with these columns."""
    return ReportShape(
        columns=columns, constants={"kind": "conversion", "currency": "EUR"}, zone=ZoneInfo("UTC"),
        is_by_id="id" in columns, is_summed="count" in columns,
    )  # fmt: skip


def outcome_of(built: Built, text: str, shape: ReportShape, comparison: Comparison, directory: Path) -> Reconciliation:
    """Compare a report of this text."""
    path = directory / "report.csv"
    path.write_text(text)
    return reconcile(built.read, read_report(path, shape), shape, comparison)


def test_what_a_report_does_not_have_is_not_compared(built: Built, tmp_path: Path) -> None:
    """Ids alone, a count by day, or one sum of everything: each is held against the same of ours."""
    clock = Comparison("clock")
    ids = "n\n" + "".join(f"cnv_{number}\n" for number in range(8))
    assert outcome_of(built, ids, shape_of(id="n"), clock, tmp_path).is_equal
    counts = "d,c\n2026-03-28,2\n2026-03-29,2\n2026-10-25,2\n2026-11-01,2\n2026-05-01,0\n"
    assert outcome_of(built, counts, shape_of(day="d", count="c"), clock, tmp_path).is_equal
    assert outcome_of(built, "a\n84.00\n", shape_of(amount="a"), clock, tmp_path).totals[0].amount == 84
    (difference,) = found(
        outcome_of(built, "p,a,c\nptn_1,83.99,8\n", shape_of(partner="p", amount="a", count="c"), clock, tmp_path)
    )
    assert (difference["differs"], difference["difference"], difference["partner"]) == (
        "amount",
        Decimal("-0.01"),
        "ptn_1",
    )
    with pytest.raises(ReportError, match="no days"):
        outcome_of(built, ids, shape_of(id="n"), replace(clock, since=date(2026, 1, 1)), tmp_path)
    with pytest.raises(ReportError, match="no rows"):
        outcome_of(built, "d,c\n", shape_of(day="d", count="c"), clock, tmp_path)


def test_a_difference_within_the_tolerance_is_none(built: Built) -> None:
    """A platform that rounds is let be, up to the cent it was granted and not beyond."""
    rows = [replace(row, amount=(row.amount or 0) + Decimal("0.01")) for row in truth(built.line, "clock")]
    assert compare(built, rows, ExportStyle(), Comparison("clock", tolerance=Decimal("0.01"))).is_equal
    assert (
        compare(built, rows, ExportStyle(), Comparison("clock", tolerance=Decimal("0.0099"))).differences.num_rows == 8
    )


def test_a_line_that_cannot_be_read_is_not_also_too_much_with_us(built: Built, tmp_path: Path) -> None:
    """A garbled amount is reported by its line, once; its id is known to be in the report."""
    text = "n,a\n" + "".join(f"cnv_{number},{'10.5' if number else 'ten'}\n" for number in range(8))
    shape = shape_of(id="n", amount="a")
    outcome = outcome_of(built, text, shape, Comparison("clock"), tmp_path)
    assert outcome.is_equal
    assert [row.line for row in read_report(tmp_path / "report.csv", shape).wrong_rows] == [2]


@pytest.mark.parametrize(
    ("kind", "mart", "key", "day", "money"),
    [("conversion", "conversions", "conversion_id", "created_at", CONVERSION_MONEY),
     ("rejection", "fraud_rejections", "event_id", "occurred_at", REJECTION_MONEY),
     ("payout", "payouts", "payout_id", "completed_at", PAYOUT_MONEY)],
)  # fmt: skip
def test_each_money_that_can_be_meant_is_compared(
    built: Built, kind: str, mart: str, key: str, day: str, money: dict[str, tuple[str, str]]
) -> None:
    """The value or the commission of a conversion, what a payout pays or takes off the balance: as configured."""
    for name, (amount, currency) in money.items():
        held = built.line.query(f"from marts.{mart} where source_id = 'acme' and {day} is not null")
        rows = [Exported(kind, row[key], row["partner_id"], row[day], row[currency], row[amount]) for row in held]
        assert any(row.amount for row in rows), name
        comparison = replace(STATED, money=replace(HeldMoney(), **{kind: name}))
        assert compare(built, rows, ExportStyle(), comparison).is_equal, name


@pytest.mark.parametrize(("by", "at"), [("creation", "created_at"), ("occurrence", "occurred_at")])
def test_a_conversion_can_be_dated_otherwise(built: Built, by: str, at: str) -> None:
    """A platform that lists every conversion, whatever its status, under the day it began, is compared by that day."""
    held = built.line.query("from marts.conversions where source_id = 'acme' and status = 'qualified'")
    rows = [Exported("conversion_qualified", row["conversion_id"], row["partner_id"], row[at], row["value_currency"],
                     row["value_amount"]) for row in held]  # fmt: skip
    assert compare(built, rows, ExportStyle(), replace(STATED, conversions_by=by)).is_equal
    assert not compare(built, rows, ExportStyle()).is_equal


CONFIGURATION = """
[program]
reporting_timezone = "Europe/Malta"

[sources.clock]
scheme = "hmac-sha256-hex"
secrets = ["env:CLOCK_SECRET"]

[reports.sales]
timezone = "UTC"

[reports.sales.columns]
id = "Sale ID"
partner = "Affiliate"
day = "Date"
amount = "Revenue"

[reports.sales.constants]
kind = "conversion"
currency = "EUR"
"""
SALES = "Sale ID,Affiliate,Date,Revenue\n" + "".join(
    f"cnv_{number},ptn_1,{at[:10]},10.50\n" for number, at in enumerate(CLOCK)
)


@pytest.fixture
def programme(built: Built, tmp_path: Path) -> Path:
    """A directory with a configuration that reads the built marts."""
    publish = f'\n[warehouse]\npublish = "{built.line.root / "published"}"\n'
    (tmp_path / "hookmart.toml").write_text(CONFIGURATION + publish)
    return tmp_path


def ran(programme: Path, text: str, *options: str) -> Result:
    """`hookmart reconcile` on a report of this text."""
    (programme / "sales.csv").write_text(text)
    arguments = ["reconcile", str(programme / "sales.csv"), "--config", str(programme / "hookmart.toml"), *options]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_the_command_says_by_its_exit_code_whether_anything_differs(programme: Path) -> None:
    """0 and a sentence where all agrees; 1, the totals and each difference by name where not."""
    result = ran(programme, SALES)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "the report and the warehouse agree" in result.stdout
    text = SALES.replace("cnv_3,ptn_1", "cnv_3,ptn_9").replace("cnv_0,", "cnv_[red]0,") + "cnv_8,ptn_1,2026-04-01,x\n"
    result = ran(programme, text)
    assert result.exit_code == 1
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "report sales, source clock, 2026-03-28 to 2026-11-01, UTC"
    assert "conversion EUR 8 8 84 84 0 1 1 1 0" in lines
    assert "line 10: 'Revenue': 'x' is not an amount written as `decimal` and `thousands` say" in lines
    assert "missing conversion cnv_[red]0 2 ptn_1 2026-03-28 EUR 10.5 - 10.5" in lines
    assert "extra conversion cnv_0 - ptn_1 2026-03-28 EUR - 10.5 -10.5" in lines
    assert "different partner conversion cnv_3 5 ptn_9 (ours ptn_1) 2026-03-29 EUR 10.5 10.5 0" in lines
    assert ran(programme, text, "--since", "2026-10-01", "--until", "2026-12-01").exit_code == 1  # the garbled line


def test_programs_get_a_document_and_a_file(programme: Path) -> None:
    """`--json` holds everything with exact amounts; `--output` every difference as CSV."""
    output = programme / "differences.csv"
    text = SALES.replace("10.50", "10.50000001", 1) + "cnv_1,ptn_1,2026-03-28,10.50\n"
    result = ran(programme, text, "--json", "--output", str(output))
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["report"], document["source_id"], document["is_equal"]) == ("sales", "clock", False)
    assert (document["since"], document["until"], document["wrong_rows"]) == ("2026-03-28", "2026-11-01", [])
    (total,) = document["totals"]
    assert (total["amount"], total["held_amount"], total["different"], total["repeated"]) == ("94.50000001", "84", 1, 1)
    assert [(each["fate"], each["id"], each["line"]) for each in document["differences"]] == [
        ("different", "cnv_0", 2), ("repeated", "cnv_1", 10),
    ]  # fmt: skip
    assert document["differences"][0]["difference"] == "0.00000001"
    header, *lines = output.read_text().splitlines()
    assert header.split(",") == list(document["differences"][0])
    assert len(lines) == 2


def test_what_cannot_be_compared_is_refused_in_a_sentence(programme: Path) -> None:
    """Wrong usage and a report that is not as configured exit 2, so that nobody takes them for differences."""
    for options, complaint in (
        (("--report", "costs"), "Say --report with one of those"),
        (("--since", "2026-02-01", "--until", "2026-01-01"), "is before --since"),
    ):
        result = ran(programme, SALES, *options)
        assert result.exit_code == 2
        assert complaint in result.stderr
    result = ran(programme, SALES.replace("Revenue", "Income"))
    assert result.exit_code == 2
    assert "'Revenue' is not a column of" in result.stderr
    configuration = programme / "hookmart.toml"
    configuration.write_text(CONFIGURATION + '\n[sources.other]\nscheme = "hmac-sha256-hex"\nsecrets = ["env:OTHER"]\n')
    result = ran(programme, SALES)
    assert result.exit_code == 2
    assert "add `source`, one of: clock, other" in result.stderr
    configuration.write_text(CONFIGURATION)
    result = ran(programme, SALES)
    assert result.exit_code == 1
    assert "Nothing is published" in result.stderr
