"""The questions in the documentation: the SQL beside each runs, finds rows, and has the columns that are explained."""

import re
from pathlib import Path

import duckdb
import pytest

from tests.analyst_line import analyst_line
from tests.line import Line

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
