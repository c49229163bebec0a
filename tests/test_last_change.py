"""Rows that say which build last changed them: who reads them looks at those alone, whatever became of builds."""

from pathlib import Path

import pytest

from tests.line import Line
from tests.programme_inputs import programme_inputs
from tests.programmes import random_programme, received

SEED = 7
POSTS = received(random_programme(SEED, partners=4, conversions=10, payouts=5, clicks=6), SEED)
HALF = len(POSTS) // 2


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """Half of the programme, built."""
    line = Line(tmp_path)
    line.load_inputs(programme_inputs(SEED).rows())
    line.stage_posts(POSTS[:HALF])
    line.load()
    assert line.build().is_full
    return line


def count(line: Line, table: str, where: str = "true") -> int:
    with line.warehouse.session() as session:
        [(rows,)] = session.execute(f"select count(*) from {table} where {where}")
    return int(rows)


def test_what_comes_out_as_before_is_not_judged_again(line: Line) -> None:
    """Duplicates touch nothing; a full build leaves nothing over for the next one to look at."""
    line.stage_posts(POSTS[:3])
    line.load()
    assert not line.build().is_full
    assert count(line, "intermediate.touched_signal_days") == 0

    line.stage_posts(POSTS[HALF : HALF + 1])
    line.load()
    assert not line.build().is_full
    assert count(line, "intermediate.touched_signal_days") < count(line, "marts.fraud_signals_daily")


def test_models_run_before_a_run_failed_are_changed_for_the_next_build(line: Line) -> None:
    """Counts are new and signals are not; the next build finds the same counts, and judges them all the same."""
    line.stage_posts(POSTS[HALF:])
    line.load()
    with line.warehouse.session() as session:
        line.builder.look_at(session)
    assert line.builder._dbt("run", "--select", "+int_fraud_counts_by_day", variables={"loads_whole": True}) > 0
    assert count(line, "intermediate.int_fraud_counts_by_day", "load_seq > 1") > 0
    assert not line.build().is_full
    built = line.marts()

    assert line.build(full_refresh=True).is_full
    assert line.marts() == built
