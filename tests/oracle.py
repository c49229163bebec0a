"""
What the marts must hold, worked out a second time: plain Python, event after event, from the text of the contract.

It shares no line with the product. Where the two disagree, one of them has misread the text.
"""

from collections.abc import Callable, Iterable

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
from tests.oracle_events import Posted, Row, distinct_live_events, partners_under_test
from tests.oracle_ledger import ledger_entries
from tests.oracle_statement import LEDGER_COLUMNS, STATEMENT_COLUMNS, ClosedMonths, ledger_rows, statement_rows

COLUMNS: dict[str, tuple[str, ...]] = {
    "commission_ledger": LEDGER_COLUMNS,
    "commission_statement_monthly": STATEMENT_COLUMNS,
    "conversions": CONVERSION_COLUMNS,
    "commissions": COMMISSION_COLUMNS,
    "payouts": PAYOUT_COLUMNS,
    "fraud_rejections": FRAUD_REJECTION_COLUMNS,
    "partners": PARTNER_COLUMNS,
}
PRIMARY_KEYS: dict[str, tuple[str, ...]] = {
    "commission_ledger": ("source_id", "ledger_entry_id"),
    "commission_statement_monthly": ("source_id", "month", "partner_id", "currency"),
    "conversions": ("source_id", "conversion_id"),
    "commissions": ("source_id", "commission_id"),
    "payouts": ("source_id", "payout_id"),
    "fraud_rejections": ("source_id", "event_id"),
    "partners": ("source_id", "partner_id"),
}


def expected_marts(
    posts: Iterable[Posted],
    *,
    reporting_timezone: str = "UTC",
    closed_months: ClosedMonths | None = None,
) -> dict[str, list[Row]]:
    """
    The rows of every mart in `COLUMNS`, each mart sorted by its primary key.

    Args:
        posts: Full events as posted, each with its `source`; in order of arrival, which matters to nothing but which of
            two bodies of one id was first.
        reporting_timezone: Cuts days and months.
        closed_months: First day of a month to the naive UTC time it was closed; counts only for posts that carry a
            `received_at`.
    """
    events = distinct_live_events(posts)
    under_test = partners_under_test(events)
    entries = [entry for entry in ledger_entries(events) if (entry.source_id, entry.partner_id) not in under_test]
    ledger = ledger_rows(entries, reporting_timezone, closed_months or {})
    marts = {
        "commission_ledger": ledger,
        "commission_statement_monthly": statement_rows(ledger),
        "conversions": conversion_rows(events, entries),
        "commissions": commission_rows(events, entries),
        "payouts": payout_rows(events),
        "fraud_rejections": fraud_rejection_rows(events, entries),
        "partners": partner_rows(events),
    }
    marts = {
        name: sorted(
            (row for row in rows if (row["source_id"], row["partner_id"]) not in under_test),
            key=_by(PRIMARY_KEYS[name]),
        )
        for name, rows in marts.items()
    }
    mark_duplicates(marts["conversions"])
    return marts


def _by(columns: tuple[str, ...]) -> Callable[[Row], tuple[object, ...]]:
    return lambda row: tuple(row[column] for column in columns)
