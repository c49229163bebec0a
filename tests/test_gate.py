"""What a build looks at before it publishes: all rows after a full one, those at stake after an incremental one."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines import compiled_models
from pipelines.errors import BuildError
from pipelines.project_graph import Node
from tests.line import Line
from tests.programmes import random_programme, received

SEED = 17
POSTS = received(random_programme(SEED, partners=4, conversions=8, payouts=6, clicks=3), SEED)


def subject_of(post: dict[str, Any]) -> str:
    """What the ledger derives entries from as a whole."""
    kind = post["type"].partition(".")[0]
    return f"{kind}:{(post['data'].get(kind) or {}).get('id')}"


def another(line: Line, event_type: str) -> dict[str, Any]:
    """One more event of something in the ledger that has one of *event_type*: it alone is touched."""
    rows = line.query("select distinct source_id, ledger_subject_id from marts.commission_ledger")
    booked = {(row["source_id"], row["ledger_subject_id"]) for row in rows}
    posts = [post for post in POSTS if post["type"] == event_type and (post["source"], subject_of(post)) in booked]
    data = posts[0]["data"]
    if "adjustment" in data:
        data = {**data, "adjustment": {**data["adjustment"], "id": "one more"}}
    return {**posts[0], "id": "one more", "timestamp": "2027-01-01T00:00:00Z", "data": data}


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    line = Line(tmp_path_factory.mktemp("built"))
    line.stage_posts(POSTS)
    line.load()
    line.build()
    return line.root


@pytest.fixture
def line(built_once: Path, tmp_path: Path) -> Line:
    """A built line, for one test to change."""
    shutil.copytree(built_once, tmp_path / "line", symlinks=True)
    return Line(tmp_path / "line")


def change(line: Line, sql: str) -> None:
    """Change a mart by hand."""
    with line.warehouse.session() as session:
        [(count,)] = session.execute(sql)
    assert count == 1


def build_after(line: Line, event: dict[str, Any]) -> None:
    """Build what *event* touches."""
    line.stage_posts([event])
    line.load()
    assert not line.build().is_full


BROKEN = {
    "a row twice": ("payouts", "union all select * from payouts", "mart_keys_are_unique: "),
    "a row of another key": ("payouts", "union all select * from marts.payouts", "payouts: .*that was not touched"),
    "an amount that is not in the ledger": (
        "commissions",
        "where false union all select * replace (net_amount + 1 as net_amount) from commissions",
        "money_is_conserved: ",
    ),
    "an entry of nothing": (
        "commission_ledger",
        "union all select * replace ('one more' as ledger_entry_id, null as amount) from commission_ledger",
        "money_is_conserved: ",
    ),
}


@pytest.mark.parametrize(("model", "ending", "told"), BROKEN.values(), ids=BROKEN)
def test_a_model_that_makes_wrong_rows_of_what_was_touched_is_found_out(
    line: Line, monkeypatch: pytest.MonkeyPatch, model: str, ending: str, told: str
) -> None:
    """All else is as it was, and nothing of it is published."""
    right = compiled_models._replacing

    def replacing(node: Node, sql: str) -> str:
        return right(node, f"{sql} {ending}" if node.name == model else sql)

    before = line.marts()
    monkeypatch.setattr(compiled_models, "_replacing", replacing)
    with pytest.raises(BuildError, match=told):
        build_after(line, another(line, "payout.scheduled" if model == "payouts" else "commission.adjusted"))
    assert line.marts() == before


def test_a_key_that_a_row_elsewhere_has_is_found(line: Line) -> None:
    """A row that was not touched has the key of one that was, in a mart whose rows are touched by something else."""
    event = another(line, "commission.adjusted")
    ids = f"select min(ledger_entry_id) from marts.commission_ledger where source_id = '{event['source']}'"
    own, other = (f"{ids} and ledger_subject_id {how} '{subject_of(event)}'" for how in ("=", "!="))
    change(line, f"update marts.commission_ledger set ledger_entry_id = ({own}) where ledger_entry_id = ({other})")
    with pytest.raises(BuildError, match="mart_keys_are_unique: Got 1 "):
        build_after(line, event)


def test_what_no_event_touched_is_looked_at_by_a_full_build_and_by_dbt(line: Line) -> None:
    """Somebody changed a mart by hand: an event elsewhere is published all the same; `dbt test` reads it all."""
    change(line, "insert into marts.clicks from marts.clicks limit 1")
    build_after(line, another(line, "commission.adjusted"))
    with pytest.raises(BuildError, match="mart_keys_are_unique"):
        line.builder._dbt("test", "--select", "tag:gate")
    assert line.build(full_refresh=True).is_full
    assert line.builder._dbt("test", "--select", "tag:gate") > 0
