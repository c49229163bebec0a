"""The configuration of reports: what it refuses, and that its words are those of the comparison and of the docs."""

import re
from pathlib import Path
from typing import get_args

import pytest

from hookmart.reconcile import comparison_of, shape_of
from ingest.errors import SettingsError
from ingest.reconcile_settings import ReportColumns, ReportConstants, ReportKind, ReportMoney, ReportSettings
from ingest.settings import Settings, load_settings
from pipelines.held_rows import CONVERSION_DAYS, CONVERSION_MONEY, KINDS, PAYOUT_MONEY, REJECTION_MONEY

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "reconcile.md").read_text(encoding="utf-8")
SOURCE = '[sources.acme]\nscheme = "hmac-sha256-hex"\nsecrets = ["env:ACME"]\n'
REPORT = '[reports.sales]\nconstants = { kind = "payout", currency = "eur" }\n'


def _load(directory: Path, text: str) -> Settings:
    path = directory / "hookmart.toml"
    path.write_text(SOURCE + text, encoding="utf-8")
    return load_settings(path, {})


def _keys(heading: str) -> dict[str, str]:
    section = re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert section
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section[1], re.MULTILINE))


def test_words_are_those_of_the_comparison() -> None:
    """What can be configured of kinds, amounts and days is what the marts can be asked for, no more and no less."""
    assert get_args(ReportKind) == KINDS
    fields = ReportMoney.model_fields
    for name, money in (("conversion", CONVERSION_MONEY), ("rejection", REJECTION_MONEY), ("payout", PAYOUT_MONEY)):
        assert get_args(fields[name].annotation) == tuple(money)
    assert get_args(ReportSettings.model_fields["conversions_by"].annotation) == CONVERSION_DAYS


def test_every_key_and_kind_is_documented() -> None:
    """What can be configured stands in the documentation, with its default."""
    keys = _keys("Keys of a report")
    assert keys.keys() == ReportSettings.model_fields.keys()
    for name, field in ReportSettings.model_fields.items():
        if isinstance(field.default, str | int) and field.default not in ("", False):
            assert keys[name] == f"`{field.default}`"
    assert _keys("Columns").keys() == ReportColumns.model_fields.keys()
    assert tuple(_keys("Kinds")) == KINDS
    assert _keys("Which money").keys() == ReportMoney.model_fields.keys()
    for name in ReportConstants.model_fields:
        assert f"`{name}`" in keys["constants"] or f"`{name}`" in DOCUMENT


def test_every_report_shown_can_be_used(tmp_path: Path) -> None:
    """The examples of the documentation are read without a complaint."""
    examples = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        settings = _load(tmp_path, example)
        ((name, report),) = settings.reports.items()
        assert comparison_of(settings, name, report).source_id == "acme"
        assert shape_of(report, "UTC").columns


def test_a_report_of_ids_is_of_events_and_any_other_of_sums(tmp_path: Path) -> None:
    """What a row stands for follows from the columns, unless it is said."""
    for columns, rows, is_by_id, is_summed in (
        ('{ id = "Ref" }', "", True, False),
        ('{ day = "Date", count = "Count" }', "", False, True),
        ('{ day = "Date" }', 'rows = "events"', False, False),
    ):
        report = _load(tmp_path, f"{REPORT}columns = {columns}\n{rows}\n").reports["sales"]
        shape = shape_of(report, "Europe/Malta")
        assert (shape.is_by_id, shape.is_summed, shape.zone.key) == (is_by_id, is_summed, "Europe/Malta")
        assert shape.constants == {"kind": "payout", "currency": "EUR"}


def test_a_tolerance_is_as_exact_as_it_is_written(tmp_path: Path) -> None:
    """0.01 is a cent, not the float nearest to it."""
    report = _load(tmp_path, REPORT + 'columns = { id = "Ref" }\ntolerance = 0.01\n').reports["sales"]
    assert str(report.tolerance) == "0.01"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[reports.sales]\n", "`reports.sales.columns` is missing"),
        ('[reports.sales]\ncolumns = { id = "Ref" }\n', "does not say what its rows are"),
        (REPORT + 'columns = { id = "Ref", day = "D", timestamp = "T" }\n', "`day` and `timestamp`"),
        ('[reports.sales]\ncolumns = { id = "R", amount = "A", kind = "K" }\n', "its amounts have no currency"),
        (REPORT + 'columns = { partner = "P" }\n', "nothing to compare"),
        (REPORT + 'columns = { id = "Ref", count = "C" }\n', "have a count"),
        (REPORT + 'rows = "sums"\ncolumns = { id = "Ref", amount = "A" }\n', "have an id"),
        (REPORT + 'columns = { id = "Ref" }\ndecimal = ","\nthousands = ","\n', "are the same"),
        (REPORT + 'columns = { id = "Ref" }\nencoding = "base64"\n', "not a text encoding"),
        (REPORT + 'columns = { id = "Ref" }\ntimezone = "Malta/Europe"\n', "not an IANA time zone"),
        (REPORT + 'columns = { id = "Ref" }\ntolerance = -1\n', "reports.sales.tolerance"),
        (REPORT + 'columns = { id = "" }\n', "reports.sales.columns.id"),
        (REPORT + 'columns = { id = "Ref", colour = "C" }\n', "is not a setting"),
        (REPORT + 'columns = { id = "Ref" }\nkinds = { Click = "click" }\n', "reports.sales.kinds.Click"),
    ],
)
def test_a_report_that_cannot_be_compared_is_refused_at_start(tmp_path: Path, text: str, complaint: str) -> None:
    """One sentence names the setting and says what to do."""
    with pytest.raises(SettingsError, match=re.escape(complaint)) as refused:
        _load(tmp_path, text)
    assert str(refused.value).endswith(".")
