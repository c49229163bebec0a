"""The promise of the marts: a function of the distinct events alone, and the very rows that the oracle works out."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.line import Line
from tests.oracle import COLUMNS, PRIMARY_KEYS, expected_marts
from tests.oracle_events import Posted, Row
from tests.programme_inputs import ProgrammeInputs, programme_inputs
from tests.programmes import mutate_delivery, programmes, random_programme, received, wrap_golden

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "fixtures" / "golden_statement.json").read_text())
STATEMENT = ("opening", "earned", "adjusted", "paid", "returned", "closing", "pending", "payable", "in_transit")
BALANCES = {"opening", "closing", "pending", "payable", "in_transit"}


def oracle_query(mart: str) -> str:
    """What gives the rows of *mart*, in the columns and the order of the oracle."""
    return f"select {', '.join(COLUMNS[mart])} from marts.{mart} order by {', '.join(PRIMARY_KEYS[mart])}"


def expected_by_the_oracle(
    posts: Sequence[Posted], timezone: str, inputs: ProgrammeInputs | None
) -> dict[str, list[Row]]:
    """What the oracle makes of events and inputs."""
    if inputs is None:
        return expected_marts(posts, reporting_timezone=timezone)
    return expected_marts(posts, reporting_timezone=timezone, closed_months=inputs.closed_months, quotes=inputs.quotes)


def assert_as_the_oracle_says(
    line: Line, posts: Sequence[Posted], timezone: str, inputs: ProgrammeInputs | None = None
) -> None:
    """Every row and every column of every mart that the oracle knows, and no row more."""
    expected = expected_by_the_oracle(posts, timezone, inputs)
    for (mart, rows), found in zip(
        expected.items(), line.queries_of_warehouse([oracle_query(mart) for mart in expected]), strict=True
    ):
        assert len(found) == len(rows), mart
        for row, wanted in zip(found, rows, strict=True):
            assert row == wanted, mart


GOLDEN_STATEMENTS: dict[str, list[dict[str, str]]] = {
    "Europe/Malta": GOLDEN["statement"],
    "UTC": [
        {**month, **changed}
        for month, changed in zip(
            GOLDEN["statement"],
            (
                {},
                # The clawed-back commission of 22:30 UTC on 30 June is July's in Malta.
                {"earned": "-120.00", "closing": "-320.00", "pending": "-120.00"},
                {"opening": "-320.00", "earned": "450.00"},
                {},
            ),
            strict=True,
        )
    ],
}


@pytest.mark.parametrize("timezone", GOLDEN_STATEMENTS)
def test_the_worked_example_comes_out_to_the_cent(tmp_path: Path, timezone: str) -> None:
    """From staged bytes to the published file, the statement is the one of the example."""
    line = Line(tmp_path, timezone)
    line.stage_posts(wrap_golden(GOLDEN), segments=3)
    line.load()
    line.build()
    columns = ", ".join(f"{name}_balance as {name}" if name in BALANCES else name for name in STATEMENT)
    found = line.query(
        f"select month, {columns}, transferred, currency from marts.commission_statement_monthly order by month"
    )

    expected = [
        {
            "month": date.fromisoformat(month["month"]),
            **{name: Decimal(month[name]) for name in STATEMENT},
            "transferred": Decimal(0),
            "currency": "EUR",
        }
        for month in GOLDEN_STATEMENTS[timezone]
    ]
    assert found == expected


ORACLE_CASES = [
    pytest.param(101, "UTC", id="UTC", marks=pytest.mark.slow),
    pytest.param(202, "Europe/Malta", id="a zone with summer time"),
    pytest.param(303, "America/St_Johns", id="a zone off by half an hour", marks=pytest.mark.slow),
    pytest.param(404, "Pacific/Kiritimati", id="fourteen hours ahead", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("seed", "timezone"), ORACLE_CASES)
def test_four_messy_loads_give_what_the_oracle_says(tmp_path: Path, seed: int, timezone: str) -> None:
    """Shuffled and repeated, loaded in four parts with a build after each, the last build agrees on every row."""
    line = Line(tmp_path, timezone)
    posts, inputs = received(random_programme(seed), seed), programme_inputs(seed)
    line.load_inputs(inputs.rows())
    for batch in mutate_delivery(posts, random.Random(seed), batches=4):
        line.stage_posts(batch, segments=2)
        line.load()
        line.derive()

    assert_as_the_oracle_says(line, posts, timezone, inputs)


@pytest.mark.parametrize(
    ("seed", "timezone"), [(8, "Europe/Malta"), pytest.param(9, "Asia/Tokyo", marks=pytest.mark.slow)]
)
def test_a_programme_of_eight_partners_and_three_currencies(tmp_path: Path, seed: int, timezone: str) -> None:
    """
    Lost created events, bank returns, clawbacks after a payout, a tenth repeated, all shuffled, over four loads.

    Rates and closed months come after two of them. The published marts agree with the oracle, and a full refresh
    changes no row of any mart.
    """
    posts = random_programme(
        seed, partners=8, conversions=30, payouts=20, currencies=("EUR", "USD", "JPY"), sources=("acme",)
    )
    posts, inputs = received(posts, seed), programme_inputs(seed)
    marts = expected_by_the_oracle(posts, timezone, inputs)
    adjusted = [row["effective_at"] for row in marts["commission_ledger"] if row["entry_type"] == "adjusted"]
    assert {row["currency"] for row in marts["commission_ledger"]} == {"EUR", "USD", "JPY"}
    assert {row["is_created_missing"] for row in marts["conversions"]} == {True, False}
    assert any(row["is_returned"] for row in marts["payouts"])
    assert max(adjusted) > min(row["completed_at"] for row in marts["payouts"] if row["completed_at"])
    assert {row["is_prior_period"] for row in marts["commission_ledger"]} == {True, False}
    revaluations = {row["fx_revaluation_rc"] for row in marts["commission_statement_monthly"]}
    assert None in revaluations
    assert len(revaluations) > 10
    line = Line(tmp_path, timezone)
    for number, batch in enumerate(mutate_delivery(posts, random.Random(seed), duplicates=0.1, batches=4)):
        if number == 2:
            line.load_inputs(inputs.rows())
        line.stage_posts(batch)
        line.load()
        line.build()
    incremental = line.marts()

    assert incremental == line.warehouse_marts()
    assert_as_the_oracle_says(line, posts, timezone, inputs)
    line.build(full_refresh=True)
    assert line.marts() == incremental


def test_a_late_event_of_any_age_lands_where_it_belongs(tmp_path: Path) -> None:
    """The first event of every entity arrives last, months late; the marts are as if it had come in time."""
    posts = random_programme(17, conversions=10, payouts=6)
    earliest = sorted(posts, key=lambda post: post["timestamp"])
    line = Line(tmp_path, "Europe/Malta")
    for batch in (earliest[len(posts) // 4 :], earliest[: len(posts) // 4]):
        line.stage_posts(batch)
        line.load()
        line.derive()

    assert_as_the_oracle_says(line, posts, "Europe/Malta")


@dataclass(frozen=True)
class Arrival:
    """A programme and one way for its events to arrive."""

    posts: list[Posted]
    batches: list[list[Posted]]
    timezone: str
    inputs: ProgrammeInputs


@st.composite
def arrivals(draw: st.DrawFn) -> Arrival:
    """Any order, any repetition, any split into loads; which of two bodies of one id is first is not up for change."""
    seed = draw(st.integers(0, 2**32 - 1))
    posts = received(draw(programmes(max_conversions=8).filter(bool)), seed)
    rng = random.Random(draw(st.integers(0, 2**32 - 1)))
    duplicates = draw(st.sampled_from((0.0, 0.1, 0.5)))
    batches = mutate_delivery(posts, rng, duplicates=duplicates, batches=draw(st.integers(2, 3)))
    timezone = draw(st.sampled_from(("UTC", "Europe/Malta", "America/St_Johns")))
    return Arrival(posts, batches, timezone, programme_inputs(seed))


def assert_arrival_changes_nothing(arrival: Arrival) -> None:
    """All rows of all marts: incremental, refreshed, and loaded at once in order are the same."""
    with TemporaryDirectory() as directory:
        line = Line(Path(directory) / "as it came", arrival.timezone)
        line.load_inputs(arrival.inputs.rows())
        for batch in arrival.batches:
            line.stage_posts(batch)
            line.load()
            line.derive()
        incremental = line.warehouse_marts()
        line.derive(full_refresh=True)
        assert line.warehouse_marts() == incremental

        ordered = Line(Path(directory) / "in order", arrival.timezone)
        ordered.stage_posts(arrival.posts)
        ordered.load()
        ordered.load_inputs(arrival.inputs.rows())
        ordered.derive()
        # How often and when an event came is what this mart is about.
        del incremental["pipeline_freshness"]
        assert {name: rows for name, rows in ordered.warehouse_marts().items() if name in incremental} == incremental
        assert_as_the_oracle_says(ordered, arrival.posts, arrival.timezone, arrival.inputs)


SLOW_TO_RUN = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


# An example takes seconds: to shrink a failure would take minutes, and its seed tells as much.
@settings(SLOW_TO_RUN, max_examples=2, phases=[Phase.generate])
@given(arrivals())
def test_arrival_changes_no_row_of_any_mart(arrival: Arrival) -> None:
    """Order, repetition and batches leave no trace in the marts, and incremental builds equal a full refresh."""
    assert_arrival_changes_nothing(arrival)


@pytest.mark.slow
@settings(SLOW_TO_RUN, max_examples=100)
@given(arrivals())
def test_arrival_changes_no_row_of_any_mart_however_hard_one_tries(arrival: Arrival) -> None:
    """The same promise, over a hundred programmes."""
    assert_arrival_changes_nothing(arrival)
