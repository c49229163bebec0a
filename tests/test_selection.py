"""What a build leaves out, and that leaving it out changes no row: the marts are those of a full refresh."""

import random

import pytest

from models.columns import EVENT_COLUMNS
from models.inputs import INPUTS
from pipelines.project_graph import ProjectGraph, project_graph
from pipelines.raw_tables import ALLOCATIONS, RAW_TABLES
from pipelines.selection import downstream_of_changes
from tests.line import Line
from tests.oracle_events import Posted
from tests.programme_inputs import programme_inputs
from tests.programmes import random_programme, received

TABLES = sorted(EVENT_COLUMNS)
ALL = {*RAW_TABLES, *INPUTS, ALLOCATIONS}


def table_of(event: Posted) -> str:
    """The table of `raw` that *event* goes to."""
    kind = event["type"].partition(".")[0]
    return "commission_events" if event["type"] == "commission.tier_changed" else f"{kind}_events"


def is_built(line: Line) -> set[str]:
    """Names of the models and tests that one build runs."""
    told: list[str] = []
    line.builder.on_node = told.append
    line.build()
    return set(told)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A line with half of every table's events, in loads of which each brings rows to several tables."""
    line = Line(tmp_path_factory.mktemp("selection"), "Europe/Malta")
    line.load_inputs(programme_inputs(SEED).rows())
    line.stage_posts(FIRST)
    line.load()
    line.build()
    return line


SEED = 31
POSTS = received(random_programme(SEED, partners=5, conversions=12, payouts=8, clicks=6), SEED)
random.Random(SEED).shuffle(POSTS)
FIRST, LATER = POSTS[::2], POSTS[1::2]


def test_loads_that_bring_one_table_each_give_the_rows_of_a_full_refresh(built: Line) -> None:
    """Clicks alone, payouts alone and so on, a build after each: every row of every mart is as if derived anew."""
    runs: dict[str, set[str]] = {}
    for table in TABLES:
        posts = [post for post in LATER if table_of(post) == table]
        assert posts
        built.stage_posts(posts)
        built.load()
        runs[table] = is_built(built)
    incremental = built.marts()

    assert "conversions" not in runs["click_events"]
    assert "clicks" not in runs["conversion_events"] | runs["commission_events"] | runs["payout_events"]
    assert "payouts" not in runs["click_events"] | runs["conversion_events"] | runs["commission_events"]
    assert "commission_ledger" in runs["commission_events"] & runs["payout_events"] & runs["partner_events"]
    # The newest event's day is what open payouts are aged to, and any event may be the newest.
    assert all("payout_failures_open" in ran for ran in runs.values())
    assert not any("stg_raw__click_events" in ran for ran in runs.values())
    assert incremental == built.warehouse_marts()
    built.build(full_refresh=True)
    assert built.marts() == incremental


def test_what_came_in_loads_that_were_left_out_is_not_missed(built: Line) -> None:
    """
    Three bodies of one id, in three loads with others between: each of the two that gave way stays an exception.

    What an exception is derived from is all that its subject ever had, not what came last.
    """
    [payout, *_] = [post for post in FIRST if post["type"] == "payout.scheduled" and post.get("livemode", True)]
    [click, *_] = [post for post in FIRST if post["type"] == "click.tracked"]
    for number in range(2):
        other = {**payout, "emitted_at": f"2027-01-0{number + 1}T00:00:00Z", "received_at": "2027-02-01T00:00:00Z"}
        built.stage_posts([other])
        built.load()
        built.build()
        built.stage_posts([{**click, "id": f"another {number}", "received_at": "2027-02-01T00:00:00Z"}])
        built.load()
        built.build()
    incremental = built.marts()
    conflicts = [row for row in incremental["data_exceptions"] if row["rule"] == "event_id_conflict"]

    assert len([row for row in conflicts if row["entity_id"] == payout["id"]]) >= 2
    built.build(full_refresh=True)
    assert built.marts() == incremental


def test_duplicates_alone_touch_what_counts_them(built: Line) -> None:
    """A load of what came before runs what says how much came, and no mart of the business."""
    built.stage_posts(FIRST[:3])
    built.load()
    ran = is_built(built)

    assert "pipeline_freshness" in ran
    assert not ran & {"conversions", "clicks", "partners", "commission_ledger", "data_exceptions"}


def test_an_input_runs_what_reads_it(built: Line) -> None:
    """Spend is nobody's business but that of the marts with costs in them, and is looked at once."""
    spend = {"spend_date": "2026-05-01", "source_id": "acme", "partner_id": "p", "amount": "1", "currency": "EUR"}
    built.load_inputs({"marketing_spend": [spend]})
    built.build()
    built.load_inputs({"marketing_spend": [{**spend, "amount": "2"}]})
    ran = is_built(built)

    assert "partner_economics" in ran
    assert not ran & {"conversions", "clicks", "commission_ledger"}
    assert not built.build().is_new


@pytest.fixture(scope="module")
def graph(built: Line) -> ProjectGraph:
    """The project as dbt parses it."""
    return project_graph(built.builder._parsed_project())


def test_nothing_is_left_out_of_what_nobody_vouches_for(graph: ProjectGraph) -> None:
    """A source that the warehouse says nothing of counts as changed, whatever it is."""
    selection = downstream_of_changes(graph, unchanged=(), tag="gate")

    assert selection.left_out == ()
    assert {"conversions", "partner_economics", "touched_clicks"} <= set(selection.models)
    assert {"money_is_conserved", "mart_keys_are_unique"} <= set(selection.tests)
    assert set(selection.models) == set(downstream_of_changes(graph, ALL - set(TABLES) - set(INPUTS), "").models)


def test_nothing_runs_where_nothing_changed(graph: ProjectGraph) -> None:
    """Every source of the project is one that the warehouse can vouch for."""
    selection = downstream_of_changes(graph, ALL, "gate")

    assert (selection.models, selection.tests) == ((), ())
