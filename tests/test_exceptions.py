"""Exceptions: every rule is found where it should be, settled when it should be, and described."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from models import enumerations
from pipelines.build import PROJECT
from tests.line import Line
from tests.oracle import expected_marts
from tests.oracle_events import Posted, Row
from tests.test_marts import oracle_query
from tests.test_oracle import adjusted, approved, calculated, conversion, money, payout, posted

DOCUMENT = (Path(__file__).parent.parent / "docs" / "exceptions.md").read_text(encoding="utf-8")


def adjustment(event_id: str, at: str, before: str, delta: str, after: str) -> Posted:
    """Commission c1 is adjusted, and says from what to what."""
    event = adjusted(event_id, at, delta)
    event["data"]["adjustment"] |= {"amount_before": money(before), "amount_after": money(after)}
    return event


def of(commission_id: str, event: Posted) -> Posted:
    """*event*, of another commission."""
    event["data"]["commission"]["id"] = commission_id
    return event


def of_conversion(conversion_id: str, event: Posted) -> Posted:
    """*event*, of a commission of that conversion."""
    event["data"]["commission"]["conversion_id"] = conversion_id
    return event


def partner_event(event_id: str, step: str, at: str, partner: str, **snapshot: Any) -> Posted:
    """A partner takes a step."""
    event = posted(event_id, f"partner.{step}", at, partner=partner, change={"status": step, "effective_at": at})
    event["data"]["partner"] |= snapshot
    return event


def second_conversion(event_id: str, at: str, **fields: Any) -> Posted:
    """Conversion v2 under the order number of v1."""
    return conversion(event_id, "created", at, id="v2", external_id="o1", **fields)


def story() -> list[Posted]:
    """Something for every rule that events alone can break."""
    tier = {"id": "t1", "new_tier": {"id": "gold"}, "effective_from": "2026-01-01"}
    other_reason = conversion("v3", "rejected", "2026-01-04T00:00:00Z", external_id="o1")
    other_reason["data"]["rejection"] |= {"category": "fraud", "decided_by": "an_oracle"}
    foreign = payout("w4", "failed", "2026-01-05T00:00:00Z")
    foreign["data"]["payout"] |= {"id": "w2", "amount": money("80", "USD")}
    foreign["data"]["failure"]["category"] = "a_new_kind"
    without_id = posted("", "commission.tier_changed", "2026-01-01T00:00:00Z", tier_change=tier)
    del without_id["id"]
    usd_adjustment = of("c4", adjusted("c42", "2026-01-03T00:00:00Z", "5"))
    usd_adjustment["data"]["adjustment"]["amount_delta"] = money("5", "USD")
    return [
        # c1: calculated twice, adjusted with a gap, then wrongly; approved for another amount, twice
        calculated("c10", "2026-01-01T00:00:00Z", "100", version=1),
        calculated("c11", "2026-01-02T00:00:00Z", "40"),
        adjustment("c12", "2026-01-03T00:00:00Z", "100", "-30", "70"),
        adjustment("c13", "2026-01-04T00:00:00Z", "60", "-10", "45"),
        approved("c14", "2026-01-05T00:00:00Z", "61"),
        approved("c15", "2026-01-06T00:00:00Z", "62"),
        of("c2", approved("c20", "2026-01-05T00:00:00Z", "9")),
        of("c2", adjusted("c21", "2026-01-06T00:00:00Z", "1")),
        of("c3", approved("c30", "2026-01-01T00:00:00Z", "8")),
        of("c3", calculated("c31", "2026-01-02T00:00:00Z", "8")),
        of_conversion("v1", of("c4", calculated("c40", "2026-01-01T00:00:00Z", "7"))),
        of_conversion("v1", usd_adjustment),
        of("c5", calculated("c50", "2026-01-01T00:00:00Z", "7", version=2)),
        of("c5", approved("c51", "2026-01-02T00:00:00Z", "7", currency="USD")),
        of("c5", calculated("c52", "2026-01-03T00:00:00Z", "7", version=5)),
        of("c5", calculated("c53", "2026-01-04T00:00:00Z", "7", version=4)),
        # v1 is known by its qualification first, v2 is the same order
        conversion("v1q", "qualified", "2026-01-02T00:00:00Z", external_id="o1"),
        other_reason,
        second_conversion("v5", "2026-01-03T00:00:00Z"),
        second_conversion("v6", "2026-01-04T00:00:00Z"),
        payout("w1", "completed", "2026-01-02T00:00:00Z"),
        payout("w2", "completed", "2026-01-03T00:00:00Z"),
        payout("w3", "processing", "2026-01-04T00:00:00Z"),
        foreign,
        partner_event("p10", "approved", "2026-01-02T00:00:00Z", "p1", type="a_new_kind", parent_id="p2"),
        partner_event("p11", "approved", "2026-01-03T00:00:00Z", "p1", type="a_new_kind", parent_id="p2"),
        posted("p20", "commission.tier_changed", "2027-01-01T00:00:00Z", partner="p2", tier_change=tier)
        | {"data": {"partner": {"id": "p2", "parent_id": "p1"}, "tier_change": tier}},
        without_id,
        # another body under an id that is taken
        calculated("c10", "2026-01-01T00:00:00Z", "999", version=1),
    ]


def healing() -> list[Posted]:
    """What was missing, late."""
    return [
        conversion("v1c", "created", "2026-01-01T00:00:00Z", external_id="o1"),
        of("c2", calculated("c22", "2026-01-04T00:00:00Z", "9")),
        adjustment("c16", "2026-01-03T12:00:00Z", "70", "-10", "60"),
        partner_event("p00", "registered", "2026-01-01T00:00:00Z", "p1", parent_id="p2"),
        partner_event("p01", "registered", "2026-01-01T00:00:00Z", "p2"),
        payout("w0", "scheduled", "2026-01-01T00:00:00Z"),
    ]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A line that has the story."""
    line = Line(tmp_path_factory.mktemp("exceptions"))
    line.stage_posts(story())
    line.stage_bodies([("s", b'{"no": "event"}'), ("s", b'{"no": "event"}'), ("s", b"[")])
    line.load()
    spend = [{"spend_date": date(2026, 1, 1), "source_id": "s", "campaign_id": "k", "amount": 5, "currency": "EUR"}]
    line.load_inputs({"marketing_spend": spend})
    line.build()
    return line


@pytest.fixture(scope="module")
def first_rows(line: Line) -> list[Row]:
    """All exceptions of the story."""
    return line.query_warehouse("from marts.data_exceptions order by exception_id")


@pytest.fixture(scope="module")
def healed(line: Line, first_rows: list[Row]) -> list[Row]:
    """All exceptions once what was missing has arrived."""
    assert first_rows
    line.stage_posts(healing())
    line.load()
    line.build()
    return line.query_warehouse("from marts.data_exceptions order by exception_id")


def rules() -> dict[str, str]:
    """The rules of the project, with their severity."""
    source = (PROJECT / "macros" / "exceptions" / "exception_rules.sql").read_text(encoding="utf-8")
    return dict(re.findall(r'"(\w+)": "(\w+)"', source))


def test_the_story_breaks_every_rule(first_rows: list[Row]) -> None:
    """No rule is only written down: each finds what was made for it, with the severity it has."""
    assert {row["rule"]: row["severity"] for row in first_rows} == rules()


def test_what_is_at_risk_is_exact(first_rows: list[Row]) -> None:
    """Amounts are those that the rule says, with their sign."""
    at_risk = {
        row["exception_id"]: f"{row['amount_at_risk']:.2f} {row['currency']}" for row in first_rows if row["currency"]
    }
    assert at_risk["duplicate_commission_calculated:c11"] == "40.00 EUR"
    assert at_risk["adjustment_chain_gap:c13"] == "-10.00 EUR"
    assert at_risk["adjustment_does_not_add_up:c13"] == "-5.00 EUR"
    assert at_risk["approval_variance:c14"] == "1.00 EUR"
    assert at_risk["missing_fx_rate:USD 2026-01-03"] == "5.00 USD"


def test_an_exception_goes_when_what_it_missed_arrives(line: Line, first_rows: list[Row], healed: list[Row]) -> None:
    """Derived from touched keys, the rows are those of the oracle, and of a full refresh."""
    gone = {row["exception_id"] for row in first_rows} - {row["exception_id"] for row in healed}
    assert gone >= {
        "adjustment_chain_gap:c13", "approval_without_calculation:c20", "created_missing:v1q", "inferred_partner:p2",
        "orphan_adjustment:c21", "payout_without_scheduled:w1", "registration_missing:p10",
    }  # fmt: skip
    expected = expected_marts([*story(), *healing()])["data_exceptions"]
    beside = {"quarantined_event", "unattributed_spend"}
    assert [
        row for row in line.query_warehouse(oracle_query("data_exceptions")) if row["rule"] not in beside
    ] == expected
    line.build(full_refresh=True)
    assert line.query_warehouse("from marts.data_exceptions order by exception_id") == healed


def test_a_body_in_quarantine_is_one_exception(first_rows: list[Row]) -> None:
    """However often it was sent."""
    found = [row for row in first_rows if row["rule"] == "quarantined_event"]
    assert sorted(row["detail"] for row in found) == ["contract", "malformed_json"]
    assert all(row["is_open"] for row in found)


def test_every_rule_is_described() -> None:
    """The table of rules is the rules there are, with their severities, and every rule has its macro."""
    assert dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", DOCUMENT, re.MULTILINE)) == rules()
    macros = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "macros" / "exceptions").glob("*.sql"))
    assert set(re.findall(r"macro exception__(\w+)\(", macros)) == rules().keys()


def test_the_known_values_are_those_of_the_contract() -> None:
    """A value that the contract learns is no longer raised."""
    source = (PROJECT / "macros" / "exceptions" / "known_values.sql").read_text(encoding="utf-8")
    lists = {
        name: tuple(re.findall(r'"(\w+)"', values))
        for name, values in re.findall(r'"([\w.]+)":\s*\[([^\]]*)\]', source)
    }
    assert {name: lists[name] for name in enumerations.REJECTION_REASONS_BY_CATEGORY} == (
        enumerations.REJECTION_REASONS_BY_CATEGORY
    )
    assert {name: lists[name] for name in lists if "." in name and name != "conversion.status"} == {
        "partner.type": enumerations.PARTNER_TYPES,
        "change.reason_code": enumerations.PARTNER_REASON_CODES,
        "change.actor.type": enumerations.ACTOR_TYPES,
        "click.validity": enumerations.CLICK_VALIDITIES,
        "geo.source": enumerations.GEO_SOURCES,
        "conversion.type": enumerations.CONVERSION_TYPES,
        "qualifying_event.kind": enumerations.QUALIFYING_KINDS,
        "rejection.decided_by": enumerations.REJECTION_DECIDERS,
        "commission.model": enumerations.COMMISSION_MODELS,
        "adjustment.type": enumerations.ADJUSTMENT_TYPES,
        "failure.category": enumerations.PAYOUT_FAILURE_CATEGORIES,
    }
