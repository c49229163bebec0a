"""
What the marts must hold, worked out a second time: plain Python, event after event, from the text of the contract.

It shares no line with the product. Where the two disagree, one of them has misread the text.
"""

from collections.abc import Callable, Iterable

from tests.oracle_clicks import CLICK_COLUMNS, click_rows
from tests.oracle_conversions import (
    CONVERSION_COLUMNS,
    FRAUD_REJECTION_COLUMNS,
    conversion_rows,
    fraud_rejection_rows,
    mark_duplicates,
)
from tests.oracle_entities import (
    COMMISSION_COLUMNS,
    PARTNER_COLUMNS,
    PAYOUT_COLUMNS,
    commission_rows,
    partner_rows,
    payout_rows,
)
from tests.oracle_events import Event, Posted, Row, distinct_live_events, partners_under_test
from tests.oracle_exceptions import exception_rows
from tests.oracle_findings import EXCEPTION_COLUMNS
from tests.oracle_fraud import SCORECARD_COLUMNS, SIGNAL_COLUMNS, scorecard_rows, signal_rows
from tests.oracle_ledger import ledger_entries
from tests.oracle_liabilities import (
    AGING_COLUMNS,
    CLAWBACK_COLUMNS,
    LIABILITY_COLUMNS,
    aging_rows,
    clawback_rows,
    liability_rows,
    newest_day,
)
from tests.oracle_partner_history import (
    PARTNER_HISTORY_COLUMNS,
    PARTNER_TIER_COLUMNS,
    partner_history_rows,
    partner_tier_rows,
)
from tests.oracle_payouts import (
    FAILURE_COLUMNS,
    PERFORMANCE_COLUMNS,
    RECONCILIATION_COLUMNS,
    failure_rows,
    performance_rows,
    reconciliation_rows,
)
from tests.oracle_rates import Quotes, Rates
from tests.oracle_roll_ups import (
    FUNNEL_COLUMNS,
    PARTNER_PERFORMANCE_COLUMNS,
    REJECTIONS_COLUMNS,
    TRAFFIC_COLUMNS,
    funnel_rows,
    partner_performance_rows,
    rejections_daily_rows,
    told_conversions,
    traffic_rows,
)
from tests.oracle_statement import LEDGER_COLUMNS, STATEMENT_COLUMNS, ClosedMonths, ledger_rows, statement_rows

COLUMNS: dict[str, tuple[str, ...]] = {
    "commission_ledger": LEDGER_COLUMNS,
    "commission_statement_monthly": STATEMENT_COLUMNS,
    "commission_liability_aging": AGING_COLUMNS,
    "commission_liabilities_monthly": LIABILITY_COLUMNS,
    "commission_clawbacks_monthly": CLAWBACK_COLUMNS,
    "conversions": CONVERSION_COLUMNS,
    "commissions": COMMISSION_COLUMNS,
    "payouts": PAYOUT_COLUMNS,
    "payout_performance_daily": PERFORMANCE_COLUMNS,
    "payout_failures_open": FAILURE_COLUMNS,
    "payout_reconciliation": RECONCILIATION_COLUMNS,
    "fraud_rejections": FRAUD_REJECTION_COLUMNS,
    "partners": PARTNER_COLUMNS,
    "data_exceptions": EXCEPTION_COLUMNS,
    "partner_history": PARTNER_HISTORY_COLUMNS,
    "partner_tiers": PARTNER_TIER_COLUMNS,
    "clicks": CLICK_COLUMNS,
    "conversion_funnel_daily": FUNNEL_COLUMNS,
    "traffic_source_daily": TRAFFIC_COLUMNS,
    "partner_performance_daily": PARTNER_PERFORMANCE_COLUMNS,
    "rejections_daily": REJECTIONS_COLUMNS,
    "fraud_signals_daily": SIGNAL_COLUMNS,
    "fraud_scorecard": SCORECARD_COLUMNS,
}
PRIMARY_KEYS: dict[str, tuple[str, ...]] = {
    "commission_ledger": ("source_id", "ledger_entry_id"),
    "commission_statement_monthly": ("source_id", "month", "partner_id", "currency"),
    "commission_liability_aging": ("source_id", "partner_id", "currency", "bucket", "age_band"),
    "commission_liabilities_monthly": ("source_id", "currency", "month"),
    "commission_clawbacks_monthly": ("source_id", "partner_id", "currency", "earned_month"),
    "conversions": ("source_id", "conversion_id"),
    "commissions": ("source_id", "commission_id"),
    "payouts": ("source_id", "payout_id"),
    "payout_performance_daily": ("source_id", "payout_date", "method", "provider", "currency"),
    "payout_failures_open": ("source_id", "payout_id"),
    "payout_reconciliation": ("source_id", "payout_id"),
    "fraud_rejections": ("source_id", "event_id"),
    "partners": ("source_id", "partner_id"),
    "data_exceptions": ("source_id", "exception_id"),
    "partner_history": ("source_id", "partner_id", "valid_from"),
    "partner_tiers": ("source_id", "partner_id", "plan", "effective_from"),
    "clicks": ("source_id", "click_id"),
    "conversion_funnel_daily": FUNNEL_COLUMNS[:6],
    "traffic_source_daily": TRAFFIC_COLUMNS[:6],
    "partner_performance_daily": PARTNER_PERFORMANCE_COLUMNS[:4],
    "rejections_daily": REJECTIONS_COLUMNS[:6],
    "fraud_signals_daily": SIGNAL_COLUMNS[:4],
    "fraud_scorecard": SCORECARD_COLUMNS[:2],
}


def expected_marts(
    posts: Iterable[Posted],
    *,
    reporting_timezone: str = "UTC",
    closed_months: ClosedMonths | None = None,
    quotes: Quotes | None = None,
) -> dict[str, list[Row]]:
    """
    The rows of every mart in `COLUMNS`, each mart sorted by its primary key.

    Args:
        posts: Full events as posted, each with its `source`; in order of arrival, which matters to nothing but which of
            two bodies of one id was first.
        reporting_timezone: Cuts days and months.
        closed_months: First day of a month to the naive UTC time it was closed; counts only for posts that carry a
            `received_at`.
        quotes: Exchange rates; the reporting currency is EUR.
    """
    posts = list(posts)
    events = distinct_live_events(posts)
    under_test = partners_under_test(events)
    entries = [entry for entry in ledger_entries(events) if (entry.source_id, entry.partner_id) not in under_test]
    rates = Rates(quotes or {})
    ledger = ledger_rows(entries, reporting_timezone, closed_months or {}, rates)
    statement = statement_rows(ledger, rates)
    payouts = [row for row in payout_rows(events) if (row["source_id"], row["partner_id"]) not in under_test]
    as_of = newest_day(events, under_test, reporting_timezone)
    marts = {
        "commission_ledger": ledger,
        "commission_statement_monthly": statement,
        "commission_liability_aging": aging_rows(ledger, as_of, rates),
        "commission_liabilities_monthly": liability_rows(statement),
        "commission_clawbacks_monthly": clawback_rows(ledger),
        "conversions": conversion_rows(events, entries),
        "commissions": commission_rows(events, entries),
        "payouts": payouts,
        "payout_performance_daily": performance_rows(payouts, events, reporting_timezone, rates),
        "payout_failures_open": failure_rows(payouts, as_of, reporting_timezone, rates),
        "payout_reconciliation": reconciliation_rows(payouts, events, ledger),
        "fraud_rejections": fraud_rejection_rows(events, entries),
        "partners": partner_rows(events),
        "partner_history": partner_history_rows(events),
        "partner_tiers": partner_tier_rows(events, reporting_timezone),
        "clicks": click_rows(events, reporting_timezone),
    }
    marts = {
        name: sorted(
            (row for row in rows if (row["source_id"], row.get("partner_id")) not in under_test),
            key=_by(PRIMARY_KEYS[name]),
        )
        for name, rows in marts.items()
    }
    mark_duplicates(marts["conversions"])
    exceptions = exception_rows(posts, events, entries, marts, "EUR")
    marts["data_exceptions"] = sorted(
        (row for row in exceptions if (row["source_id"], row["partner_id"]) not in under_test),
        key=_by(PRIMARY_KEYS["data_exceptions"]),
    )
    return marts | roll_ups(events, marts, reporting_timezone, rates)


def roll_ups(events: list[Event], marts: dict[str, list[Row]], timezone: str, rates: Rates) -> dict[str, list[Row]]:
    """The marts that are counted from the entities in *marts*."""
    clicks, told = marts["clicks"], told_conversions(events, marts["conversions"], timezone)
    signals = signal_rows(events, told, clicks, marts["payouts"], timezone)
    counted = {
        "conversion_funnel_daily": funnel_rows(clicks, told, rates),
        "traffic_source_daily": traffic_rows(clicks, told, rates),
        "partner_performance_daily": partner_performance_rows(clicks, told, marts["commission_ledger"]),
        "rejections_daily": rejections_daily_rows(marts["fraud_rejections"], told, timezone, rates),
        "fraud_signals_daily": signals,
        "fraud_scorecard": scorecard_rows(marts["partners"], signals, marts["commission_statement_monthly"]),
    }
    return {name: sorted(rows, key=_by(PRIMARY_KEYS[name])) for name, rows in counted.items()}


def _by(columns: tuple[str, ...]) -> Callable[[Row], tuple[object, ...]]:
    return lambda row: tuple(row[column] for column in columns)
