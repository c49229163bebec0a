"""`hookmart reconcile`: the platform's own report against the warehouse."""

# ruff: noqa: FBT002, PLC0415  # an option's default is how Typer learns that it is a flag; a command imports what it uses

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from hookmart.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from hookmart.terminal import FAILED, busy, reported
from ingest.errors import SettingsError
from ingest.reconcile_settings import ReportSettings
from ingest.settings import Settings, load_settings

if TYPE_CHECKING:
    from pipelines.held_rows import MartReader
    from pipelines.platform_report import ReportShape
    from pipelines.reconciliation import Comparison

_DAYS = ["%Y-%m-%d"]


def reconcile(
    file: Annotated[Path, typer.Argument(metavar="REPORT", help="The platform's export: CSV, XLSX or Parquet.")],
    config: ConfigOption = DEFAULT_CONFIG,
    report: Annotated[str | None, typer.Option(help="Which [reports.NAME] it is; the only one by default.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=_DAYS, help="First day; else that of the report.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=_DAYS, help="Last day; else that of the report.")] = None,
    as_json: JsonOption = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write every difference to this CSV file.")
    ] = None,
) -> None:
    """Compare the platform's own report with the published marts; exit 1 where anything differs."""
    from hookmart.reconcile_answer import print_answer, write_differences
    from pipelines.platform_report import read_report
    from pipelines.reconciliation import reconcile as compare
    from pipelines.report_file import ReportError

    with reported():
        settings = load_settings(config, os.environ)
        name, chosen = _chosen_report(settings, report)
        shape = shape_of(chosen, settings.program.reporting_timezone)
        comparison = comparison_of(settings, name, chosen, _day(since), _day(until))
        if not file.is_file():
            raise SettingsError(f"There is no report at {file}; give the path of the platform's export.")
        try:
            with busy("reading the report"):
                read = read_report(file, shape)
            with busy("comparing"), published_marts(settings) as marts:
                outcome = compare(marts, read, shape, comparison)
        except ReportError as error:
            raise SettingsError(str(error)) from error
        if output is not None:
            write_differences(outcome, output)
        print_answer(name, comparison.source_id, shape, read, outcome, as_json=as_json)
        if not outcome.is_equal or read.wrong_rows:
            raise typer.Exit(FAILED)


@contextmanager
def published_marts(settings: Settings) -> Iterator["MartReader"]:
    """
    Give a reader of the newest published marts, wherever they are: of one build, whatever is built meanwhile.

    Raises:
        NotPublishedError: No build has published yet.
    """
    if not settings.warehouse.publishes_a_copy:
        from hookmart.wiring import warehouse_of

        with warehouse_of(settings).reading(settings.warehouse.publish) as marts:
            yield marts
        return
    from pipelines.publish import open_published

    with open_published(settings.warehouse.publish) as connection:
        yield lambda sql, values: connection.sql(sql, params=dict(values)).to_arrow_table()


def shape_of(report: ReportSettings, reporting_timezone: str) -> "ReportShape":
    """Return what the configured *report* is like."""
    from pipelines.platform_report import ReportShape
    from pipelines.report_file import FileLayout
    from pipelines.report_values import NumberStyle

    return ReportShape(
        columns=report.columns.model_dump(exclude_none=True),
        constants=report.constants.model_dump(exclude_none=True),
        zone=ZoneInfo(report.timezone or reporting_timezone),
        kinds=report.kinds,
        is_by_id=report.columns.id is not None,
        is_summed=report.are_sums,
        layout=FileLayout(
            encoding=report.encoding,
            delimiter=report.delimiter,
            sheet=report.sheet,
            skip_rows=report.skip_rows,
            skip_last_rows=report.skip_last_rows,
        ),
        style=NumberStyle(report.decimal, report.thousands),
        date_format=report.date_format,
        has_minor_units=report.minor_units,
    )


def comparison_of(
    settings: Settings, name: str, report: ReportSettings, since: date | None = None, until: date | None = None
) -> "Comparison":
    """
    Return how the configured *report* is compared.

    Raises:
        SettingsError: It does not say which of several sources it is about, or the days are none.
    """
    from pipelines.held_rows import HeldMoney
    from pipelines.reconciliation import Comparison

    if since is not None and until is not None and until < since:
        raise SettingsError(f"--until {until} is before --since {since}; exchange them.")
    if report.source is None and len(settings.sources) != 1:
        raise SettingsError(
            f"In {settings.path}, `reports.{name}` does not say which source it is about; add `source`, one of: "
            f"{', '.join(settings.sources) or 'none'}."
        )
    return Comparison(
        source_id=report.source or next(iter(settings.sources)),
        reporting_timezone=settings.program.reporting_timezone,
        money=HeldMoney(report.money.conversion, report.money.rejection, report.money.payout),
        conversions_by=report.conversions_by,
        tolerance=report.tolerance,
        since=since,
        until=until,
    )


def _chosen_report(settings: Settings, name: str | None) -> tuple[str, ReportSettings]:
    if not settings.reports:
        raise SettingsError(
            f"In {settings.path} no report is described; add a [reports.NAME], as docs/reconcile.md shows."
        )
    if name is None and len(settings.reports) == 1:
        name = next(iter(settings.reports))
    if name not in settings.reports:
        raise SettingsError(f"Say --report with one of those in {settings.path}: {', '.join(settings.reports)}.")
    return name, settings.reports[name]


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
