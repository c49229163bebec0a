"""When a build derives everything, when only what changed, when nothing; and what happens when it fails or dies."""

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest

import pipelines.build
from pipelines.build import Builder, BuildReport
from pipelines.errors import BuildError
from pipelines.follow import Follower
from tests.killed_process import PROCESSES
from tests.line import Line
from tests.programmes import random_programme, wrap_golden
from tests.test_load_crash import load_and_die

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "fixtures" / "golden_statement.json").read_text())
POSTS = random_programme(4, partners=4, conversions=8, payouts=5, clicks=3)
HALF = len(POSTS) // 2
_DAYS = [f"2026-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line with half the events loaded and built."""
    line = Line(tmp_path_factory.mktemp("built"))
    line.stage_posts(POSTS[:HALF])
    line.load()
    assert line.build().is_full
    return line.root


@pytest.fixture
def line(built_once: Path, tmp_path: Path) -> Line:
    """A copy of that line, for one test to change."""
    shutil.copytree(built_once, tmp_path / "line", symlinks=True)
    return Line(tmp_path / "line")


@pytest.fixture(scope="module")
def both_halves(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The marts of all the events, loaded and built in one go."""
    line = Line(tmp_path_factory.mktemp("both"))
    line.stage_posts(POSTS)
    line.load()
    line.build()
    return line.marts()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project that the builders of this test use."""
    copy = tmp_path / "dbt_project"
    shutil.copytree(pipelines.build.PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(pipelines.build, "PROJECT", copy)
    return copy


def load_the_rest(line: Line) -> None:
    """The other half of the events."""
    line.stage_posts(POSTS[HALF:])
    line.load()


def published(line: Line) -> list[str]:
    """Names of what is published, the target of the link included."""
    directory = line.root / "published"
    return [*sorted(path.name for path in directory.iterdir()), (directory / "current").readlink().name]


def test_where_nothing_is_new_nothing_is_built(line: Line) -> None:
    """No model runs, no generation appears."""
    before = published(line)
    report = line.build()

    assert (report.generation, report.models, report.is_full, report.load_seq) == (None, 0, False, 1)
    assert published(line) == before


def test_a_load_that_brought_only_duplicates_is_built_as_well(line: Line) -> None:
    """The generation says which loads it includes, so it moves on; but for what came twice, no row changes."""
    before = line.marts()
    line.stage_posts(POSTS[:5])
    line.load()
    report = line.build()

    assert (report.load_seq, report.is_full, report.generation) == (2, False, line.root / "published" / "gen-2")
    after = line.marts()
    once, twice = (sum(row["duplicates"] for row in each.pop("pipeline_freshness")) for each in (before, after))
    assert twice == once + 5
    assert after == before


def test_new_events_are_built_incrementally_and_as_a_full_build_would(
    line: Line, both_halves: dict[str, list[dict[str, Any]]]
) -> None:
    """Only what the new events touch is derived; the rows are those of a full build, one by one."""
    load_the_rest(line)
    report = line.build()

    assert (report.is_full, report.generation) == (False, line.root / "published" / "gen-2")
    assert report.models > 0
    assert line.marts() == both_halves
    assert line.build(full_refresh=True).is_full
    assert line.marts() == both_halves
    assert published(line) == ["current", "gen-1", "gen-2", "gen-2.2", "gen-2.2"]


def test_a_full_refresh_may_be_asked_for(line: Line) -> None:
    """Nothing being new is no reason to refuse, and every step is told of."""
    told: list[str] = []
    line.builder.on_node = told.append
    report = line.build(full_refresh=True)

    assert report.is_full
    assert len(told) == report.models + report.tests
    assert "commission_statement_monthly" in told


@pytest.mark.parametrize("setting", [{"reporting_timezone": "Pacific/Auckland"}, {"reporting_currency": "USD"}])
def test_other_settings_mean_a_full_build(line: Line, setting: dict[str, str]) -> None:
    """Every day and every converted amount may differ, so nothing built before is kept; once is enough."""
    line.builder = replace(line.builder, **setting)  # type: ignore[arg-type]
    report = line.build()

    assert report.is_full
    assert report.generation == line.root / "published" / "gen-1.2"
    assert line.build().generation is None


def test_inputs_are_built_once_and_in_full_where_they_date_money(line: Line) -> None:
    """
    Rates change rows of any age, spend does not; either is in the next build, and then there is nothing to do.

    What was loaded by then changes, but not before a build has looked at it.
    """
    rates = [{"rate_date": day, "base_currency": "USD", "quote_currency": "EUR", "rate": "0.5"} for day in _DAYS]
    spend = {"spend_date": "2026-05-01", "source_id": "acme", "partner_id": "p", "amount": "1", "currency": "EUR"}
    seen = []
    for inputs in (
        {"fx_rates": rates, "marketing_spend": [spend]},
        {"marketing_spend": [{**spend, "amount": "2"}]},
        {"fx_rates": [{**each, "rate": "0.25"} for each in rates]},
        {"accounting_periods": [{"period_month": "2026-01", "closed_at": "2026-02-03"}]},
    ):
        line.load_inputs(inputs)
        report = line.build()
        assert report.is_new
        [row] = line.query("select max(amount_rc / amount) as rate from marts.commission_ledger where currency = 'USD'")
        seen.append((report.is_full, row["rate"]))
        assert not line.build().is_new
    assert seen == [(True, 0.5), (False, 0.5), (True, 0.25), (True, 0.25)]


def test_a_follower_builds_when_a_look_has_loaded_something(line: Line) -> None:
    """Rates that come between events do not wait for the next one."""
    looks, stop = iter([False, True]), Event()
    builds: list[BuildReport] = []
    troubles: list[Exception] = []

    def look() -> bool:
        if next(looks, False):
            line.load_inputs({"accounting_periods": [{"period_month": "2026-01", "closed_at": "2026-02-03"}]})
            return True
        return False

    def built(report: BuildReport) -> None:
        builds.append(report)
        stop.set()

    # Without the build it would follow for ever.
    watchdog = Timer(120, stop.set)
    watchdog.start()
    Follower(line.loader, line.builder, lambda _loaded: None, built, troubles.append, look).run(stop)
    watchdog.cancel()

    assert troubles == []
    assert [report.is_full for report in builds] == [True]


def test_other_sql_means_a_full_build(line: Line, project: Path) -> None:
    """A process that has parsed the project before sees the new text, and builds everything with it."""
    assert line.build().generation is None
    (project / "models" / "marts" / "answers.sql").write_text(
        "{{ config(materialized='table') }} select 42 as answer\n"
    )
    report = line.build()

    assert report.is_full
    assert line.query("from marts.answers") == [{"answer": 42}]
    assert line.build().generation is None


def test_raw_made_anew_means_a_full_build(line: Line) -> None:
    """Where the loads begin again at one, no row of the old ones stays, and the loads after it are built as ever."""
    load_the_rest(line)
    line.build()
    shutil.rmtree(line.root / "state")
    with line.warehouse.session() as session:
        session.connection.execute("drop schema raw cascade; drop schema if exists raw_staging cascade")
    golden = wrap_golden(GOLDEN)
    line.stage_posts(golden[:10])
    line.load()
    assert line.build().is_full
    assert {row["source_id"] for row in line.query("from marts.commission_ledger")} == {"golden"}

    line.stage_posts(golden[10:])
    line.load()
    report = line.build()
    assert (report.is_full, report.load_seq) == (False, 2)
    assert line.query("select count(*) as n from marts.commissions") == [{"n": 6}]


def test_a_missing_publication_is_made_again(line: Line) -> None:
    """Readers lost their file, nothing is new: it is published all the same."""
    before = line.marts()
    shutil.rmtree(line.root / "published")
    report = line.build()

    assert report.generation == line.root / "published" / "gen-1"
    assert line.marts() == before


BREAKING = {
    "a model that fails": (
        "models/marts/broken.sql",
        "{{ config(materialized='table') }} select error('on purpose') as nothing\n",
        "(?s)broken: .*on purpose",
        True,
    ),
    "a gate that fails": (
        "tests/broken_gate.sql",
        "{{ config(tags=['gate']) }} select 1 as row\n",
        "broken_gate: .*1",
        True,
    ),
    "a project that cannot be parsed": ("models/marts/broken.sql", "select {{ nonsense(\n", "parse", False),
}
"""A file of the project, its content, what is told, and whether models have been derived by then."""


@pytest.mark.parametrize(("file", "content", "message", "has_begun"), BREAKING.values(), ids=BREAKING)
def test_a_failed_build_publishes_nothing_and_is_made_up_for(
    line: Line,
    project: Path,
    both_halves: dict[str, list[dict[str, Any]]],
    file: str,
    content: str,
    message: str,
    *,
    has_begun: bool,
) -> None:
    """The error names what failed; readers keep what they had; mended, the next build has it all, anew if it has to."""
    before = published(line), line.marts()
    load_the_rest(line)
    (project / file).write_text(content)
    with pytest.raises(BuildError, match=message):
        line.build()
    assert (published(line), line.marts()) == before
    (project / file).unlink()

    report = line.build()
    assert (report.is_full, report.generation) == (has_begun, line.root / "published" / "gen-2")
    assert line.marts() == both_halves


def build_until(root: Path, node: str) -> None:
    """Build the line under *root* in this process, which dies when *node* is done."""

    def die(name: str) -> None:
        if name == node:
            os.kill(os.getpid(), signal.SIGKILL)

    line = Line(root)
    line.builder.on_node = die
    line.build()


@pytest.mark.parametrize("node", [pytest.param("touched_conversions", marks=pytest.mark.slow), "commission_ledger"])
def test_a_killed_build_is_made_up_for_by_the_next(
    line: Line, both_halves: dict[str, list[dict[str, Any]]], node: str
) -> None:
    """Half the models are new and half are old; the next build, with no new event, leaves none of that."""
    before = published(line), line.marts()
    load_the_rest(line)
    process = PROCESSES.Process(target=build_until, args=(line.root, node))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (published(line), line.marts()) == before
    report = line.build()

    assert (report.is_full, report.generation) == (False, line.root / "published" / "gen-2")
    assert line.marts() == both_halves


def test_a_build_after_a_load_that_died_has_none_of_it_and_the_next_one_all(
    line: Line, both_halves: dict[str, list[dict[str, Any]]]
) -> None:
    """A load is there whole or not at all, so the build has nothing to do; the next load reads it again."""
    before = line.marts()
    line.stage_posts(POSTS[HALF:-10])
    load_and_die(line.root, "some tables inserted")
    line.loader.finish_pending()
    assert not line.build().is_new
    assert line.marts() == before

    line.stage_posts(POSTS[-10:])
    line.load()
    report = line.build()
    assert (report.is_full, report.load_seq) == (False, 2)
    assert line.marts() == both_halves


def test_models_run_by_other_hands_are_not_taken_for_a_build(line: Line) -> None:
    """After dbt was run without us, with settings we do not know, the next build derives everything."""
    load_the_rest(line)
    stranger = Builder(line.warehouse, line.root / "published", line.root / "state" / "dbt", "Asia/Tokyo")
    stranger._dbt("run", "--full-refresh")
    report = line.build()

    assert report.is_full
    assert report.generation is not None
