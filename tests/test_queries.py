"""Questions and metrics of the documentation, of one warehouse: SQL finds what is explained, MetricFlow the same."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.analyst_line import analyst_line
from tests.line import Line
from tests.semantic_layer import SWITCH, SemanticLayer

ROOT = Path(__file__).parent.parent
_MARTS_OF_README = (ROOT / "README.md").read_text(encoding="utf-8").partition("## The marts")[2].partition("\n## ")[0]
README_QUERIES = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|`]+\?<br>`([^`]+)` \|$", _MARTS_OF_README, re.MULTILINE))
QUESTIONS = dict(
    re.findall(
        r"^## ([^\n]+\?)\n(.*?)(?=^## |\Z)",
        (ROOT / "docs" / "queries.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)
REPORT = """
copy (
    select
        partner_id,
        month,
        currency,
        earned + adjusted + case when month = '2026-03-01' then 1 else 0 end as commission
    from commission_statement_monthly
    where source_id = 'acme' and earned + adjusted != 0
) to 'platform_report.csv'
"""
"""What the platform says of commission, one too much for each partner in March."""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return analyst_line(tmp_path_factory.mktemp("asked"))


@pytest.fixture
def marts(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> duckdb.DuckDBPyConnection:
    monkeypatch.chdir(tmp_path)
    connection = duckdb.connect(line.root / "published" / "current" / "marts.duckdb", read_only=True)
    connection.execute("use marts.marts")
    return connection


def test_the_readme_asks_something_of_every_mart() -> None:
    """Each mart has its question and the SQL that answers it, from that mart alone."""
    marts = {path.stem for path in (ROOT / "dbt_project" / "models" / "marts").rglob("*.sql")}
    assert README_QUERIES.keys() == marts
    assert [mart for mart, sql in README_QUERIES.items() if set(re.findall(r"\bfrom (\w+)", sql)) != {mart}] == []


@pytest.mark.parametrize("mart", README_QUERIES)
def test_every_question_of_the_readme_is_answered(marts: duckdb.DuckDBPyConnection, mart: str) -> None:
    """The SQL finds rows, and says something in each of its columns."""
    found = marts.sql(README_QUERIES[mart])
    rows = found.fetchall()
    assert rows
    assert [name for place, name in enumerate(found.columns) if all(row[place] is None for row in rows)] == []


def test_there_are_ten_questions() -> None:
    """Each with one query."""
    assert len(QUESTIONS) == 10
    assert [question for question, section in QUESTIONS.items() if section.count("```sql\n") != 1] == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_query_has_rows_and_explains_its_columns(marts: duckdb.DuckDBPyConnection, question: str) -> None:
    """Of what a query gives beside names and dates, each column is explained, and nothing else is."""
    section = QUESTIONS[question]
    marts.sql(REPORT)
    (sql,) = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    found = marts.sql(sql)
    rows = found.fetchall()
    assert rows
    assert [name for place, name in enumerate(found.columns) if all(row[place] is None for row in rows)] == []
    named = {
        name for cell in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }
    assert named <= set(found.columns)
    numbers = {
        name
        for name, kind in zip(found.columns, found.types, strict=True)
        if str(kind).startswith(("DECIMAL", "DOUBLE", "BIGINT", "HUGEINT"))
    }
    ranges = re.findall(r"`(\w+)` \.\.\. `(\w+)`", section)
    for first, last in ranges:
        named |= set(found.columns[found.columns.index(first) : found.columns.index(last) + 1])
    assert numbers - named == set()


def test_a_report_that_agrees_has_no_differences(marts: duckdb.DuckDBPyConnection) -> None:
    """The comparison with the platform's report finds what differs, and only that."""
    marts.sql(REPORT)
    (sql,) = re.findall(
        r"```sql\n(.*?)```", QUESTIONS["Do the partners' totals agree with the platform's own report?"], re.DOTALL
    )
    assert {(row[1].isoformat(), row[5]) for row in marts.sql(sql).fetchall()} == {("2026-03-01", -1)}
    marts.sql(REPORT.replace("then 1", "then 0"))
    assert marts.sql(sql).fetchall() == []


def test_the_month_closes_as_the_query_says(marts: duckdb.DuckDBPyConnection) -> None:
    """Each currency's opening and moves make its closing, and moves of closed months are in the sum."""
    (sql,) = re.findall(r"```sql\n(.*?)```", QUESTIONS["Does the month close, and what came late into it?"], re.DOTALL)
    rows = marts.sql(sql).fetchall()
    assert any(row[10] for row in rows)
    for _, _, opening, earned, adjusted, transferred, paid, returned, closing, _, _ in rows:
        assert opening + earned + adjusted + transferred - paid + returned == closing


_MONTH = "metric_time__month"
_COHORT = ("date_trunc('month', event_date)", "conversion_funnel_daily", "true")
_EUROS = ("date_trunc('month', event_date)", "partner_performance_daily", "currency = 'EUR'")
_IN_EUROS = "{{ Dimension('partner_day__currency') }} = 'EUR'"
_CATEGORIES = {name: name for name in ("fraud", "quality", "commercial", "compliance", "technical", "other")} | {
    "unexplained": "(none)"
}
_VERDICTS = """
(
    select event_date, cohort_rejected as rejected, category, 0 as decided from rejections_daily
    union all by name select event_date, 0 as rejected, '' as category, qualified + rejected as decided
    from conversion_funnel_daily
)
"""
_REJECTED = {
    f"{name}_rejection_rate": (
        f"sum(case when category = '{category}' then rejected else 0 end) / nullif(sum(decided), 0)",
        ("date_trunc('month', event_date)", _VERDICTS, "true"),
        None,
    )
    for name, category in _CATEGORIES.items()
}
_CONVERTED = ("date_trunc('month', created_date)", "conversions", "duplicate_of_conversion_id is null")
_LIABLE = ("month", "commission_liabilities_monthly", "true")
_ECONOMICS = ("month", "partner_economics", "true")
_PAID = ("date_trunc('month', payout_date)", "payout_performance_daily", "true")
_KNOWN = "case when count({0}) = count(*) then {1} end"

METRICS: dict[str, tuple[str, tuple[str, str, str], str | None]] = {
    "gross_clicks": ("sum(gross_clicks)", _COHORT, None),
    "total_clicks": ("sum(total_clicks)", _COHORT, None),
    "unique_clicks": ("sum(unique_clicks)", _COHORT, None),
    "conversions": ("sum(conversions)", _COHORT, None),
    "pending": ("sum(pending)", _COHORT, None),
    "conversion_rate": ("sum(first_conversions) / nullif(sum(unique_clicks), 0)", _COHORT, None),
    "approval_rate": ("sum(qualified) / nullif(sum(qualified + rejected), 0)", _COHORT, None),
    "rejection_rate": ("1 - sum(qualified) / nullif(sum(qualified + rejected), 0)", _COHORT, None),
    **_REJECTED,
    "reversal_rate": ("sum(reversed) / nullif(sum(ever_qualified), 0)", _COHORT, None),
    "seconds_to_qualify_p50": ("quantile_disc(seconds_to_qualify, 0.5)", _CONVERTED, None),
    "seconds_to_qualify_p90": ("quantile_disc(seconds_to_qualify, 0.9)", _CONVERTED, None),
    "commission_per_click": ("sum(net_commission) / nullif(sum(total_clicks), 0)", _EUROS, _IN_EUROS),
    "revenue_per_click": ("sum(revenue) / nullif(sum(total_clicks), 0)", _EUROS, _IN_EUROS),
    "effective_cpa": ("sum(cohort_commission) / nullif(sum(qualified_first_deposits), 0)", _EUROS, _IN_EUROS),
    "effective_commission_rate": ("sum(cohort_commission) / nullif(sum(revenue), 0)", _EUROS, _IN_EUROS),
    "clawback_rate": (
        "sum(clawed_back_amount) / nullif(sum(earned_amount), 0)",
        ("earned_month", "commission_clawbacks_monthly", "currency = 'EUR'"),
        "{{ Dimension('clawback__currency') }} = 'EUR'",
    ),
    "payout_success_rate": (
        "sum(completed_payouts) / nullif(sum(payouts - open_payouts), 0)",
        _PAID,
        None,
    ),
    "payout_amount_success_rate": (
        "sum(completed_amount) / nullif(sum(amount - open_amount), 0)",
        ("date_trunc('month', payout_date)", "payout_performance_daily", "currency = 'USD'"),
        "{{ Dimension('payout_day__currency') }} = 'USD'",
    ),
    "player_revenue": (_KNOWN.format("player_revenue_rc", "sum(player_revenue_rc)"), _ECONOMICS, None),
    "partner_cost": (_KNOWN.format("cost_rc", "sum(cost_rc)"), _ECONOMICS, None),
    "partner_margin": (_KNOWN.format("margin_rc", "sum(margin_rc)"), _ECONOMICS, None),
    "roi": (_KNOWN.format("margin_rc", "sum(margin_rc) / nullif(sum(cost_rc), 0)"), _ECONOMICS, None),
    "pending_liability": (_KNOWN.format("pending_rc", "sum(pending_rc)"), _LIABLE, None),
    "payable_liability": (_KNOWN.format("payable_rc", "sum(payable_rc)"), _LIABLE, None),
    "receivable_from_partners": (_KNOWN.format("receivable_rc", "sum(receivable_rc)"), _LIABLE, None),
    "in_transit_liability": (_KNOWN.format("in_transit_rc", "sum(in_transit_rc)"), _LIABLE, None),
}
"""By name: what it is in SQL; the month, the mart and the rows to take; the same rows in MetricFlow's words."""


@pytest.fixture(scope="module")
def semantic_layer(line: Line, tmp_path_factory: pytest.TempPathFactory) -> SemanticLayer:
    return SemanticLayer(line.warehouse.database, tmp_path_factory.mktemp("semantics"))


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_is_what_the_sql_of_its_mart_says(
    marts: duckdb.DuckDBPyConnection, semantic_layer: SemanticLayer, metric: str
) -> None:
    """Month by month, MetricFlow finds what the marts say; and the metric says something in one of them."""
    formula, (month, mart, rows), where = METRICS[metric]
    wanted = marts.sql(f"select cast({month} as date), {formula} from {mart} where {rows} group by 1").fetchall()
    found = semantic_layer.ask(metric, by=(_MONTH,), where=where)
    said = {key: _rounded(value) for key, value in wanted if value is not None}
    assert said
    assert {key: _rounded(value) for (key,), (value,) in found.items() if value is not None} == said


def test_money_of_two_currencies_is_no_metric(semantic_layer: SemanticLayer) -> None:
    """A sum over several currencies would mean nothing, so that what is made of it is null."""
    metrics = ("commission_per_click", "revenue_per_click", "effective_cpa", "clawback_rate")
    for metric in (*metrics, "effective_commission_rate", "payout_amount_success_rate"):
        assert semantic_layer.ask(metric) == {(): (None,)}, metric


def test_the_categories_add_up_to_all_rejections(semantic_layer: SemanticLayer) -> None:
    """What is not approved is rejected for a reason of one category."""
    rates = semantic_layer.ask(*(f"{name}_rejection_rate" for name in _CATEGORIES))[()]
    [(approval_rate,)] = semantic_layer.ask("approval_rate").values()
    assert sum(rates) == pytest.approx(1 - approval_rate)


def test_balances_of_several_months_are_those_of_the_last(
    marts: duckdb.DuckDBPyConnection, semantic_layer: SemanticLayer
) -> None:
    """What is owed in March is not owed again in April."""
    [row] = marts.sql(
        "select sum(payable_rc) from commission_liabilities_monthly group by month order by month desc limit 1"
    ).fetchall()
    assert semantic_layer.ask("payable_liability") == {(): row}


def test_metrics_can_be_grouped_by_what_partners_are(semantic_layer: SemanticLayer) -> None:
    """The status of a partner now groups what it brought at any time; no partner's clicks are lost in the join."""
    by_status = semantic_layer.ask("total_clicks", by=("partner__partner_status",))
    assert len(by_status) > 1
    assert sum(clicks for (clicks,) in by_status.values()) == semantic_layer.ask("total_clicks")[()][0]


def test_the_time_spine_has_every_day_once(marts: duckdb.DuckDBPyConnection, semantic_layer: SemanticLayer) -> None:
    """MetricFlow fills gaps in time from it."""
    [row] = marts.sql(
        "select count(*), count(distinct date_day), max(date_day) - min(date_day) + 1 "
        f"from ({semantic_layer.time_spine})"
    ).fetchall()
    assert row[0] == row[1] == row[2] > 9000


def test_the_documented_metrics_are_those_that_are_checked(semantic_layer: SemanticLayer) -> None:
    """Whatever is listed is checked above, and every other metric is part of one that is."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").partition("## With MetricFlow")[2]
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| .+? \| (.+?) \|", text, re.MULTILINE)))) == set(METRICS)
    metrics = {metric.name: metric for metric in semantic_layer.manifest.metrics.values()}
    assert [name for name, metric in metrics.items() if not metric.description] == []
    parts = {
        part.name
        for name in METRICS
        for params in [metrics[name].type_params]
        for part in (*(params.metrics or ()), params.numerator, params.denominator)
        if part
    }
    assert metrics.keys() - METRICS.keys() - parts == set()


def test_a_build_reads_no_semantic_models(line: Line) -> None:
    """They take time to read, so that only those who ask for them have them."""
    manifest: Any = line.builder._parsed_project()
    assert not manifest.semantic_models
    assert SWITCH in (ROOT / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8")


def _rounded(value: Any) -> float:
    """To twelve digits: sums of binary fractions depend on their order."""
    return float(f"{value:.12g}")
