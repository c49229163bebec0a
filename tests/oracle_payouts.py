"""The oracle's roll-ups of payouts: how they went by day, which failures are open, and whether they add up."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.oracle_entities import payout_groups
from tests.oracle_events import Event, Row, local_date, read_money
from tests.oracle_liabilities import seconds
from tests.oracle_rates import Rates, null_or_sum

PERFORMANCE_COLUMNS = (
    "source_id",
    "payout_date",
    "method",
    "provider",
    "currency",
    "payouts",
    "open_payouts",
    "completed_payouts",
    "failed_payouts",
    "returned_payouts",
    "first_attempts",
    "first_attempts_completed",
    "amount",
    "open_amount",
    "completed_amount",
    "failed_amount",
    "returned_amount",
    "completed_amount_rc",
    "fee_amount",
    "fee_rc",
    "success_rate",
    "amount_success_rate",
    "first_attempt_success_rate",
    "seconds_to_pay_p50",
    "seconds_to_pay_p90",
)
FAILURE_COLUMNS = (
    "source_id",
    "payout_id",
    "partner_id",
    "debit_amount",
    "debit_rc",
    "retries",
    "days_open",
    "is_returned",
    "has_open_retry",
    "is_last_attempt",
    "failed_date",
    "as_of_date",
)
RECONCILIATION_COLUMNS = (
    "source_id",
    "payout_id",
    "partner_id",
    "reconciliation_status",
    "debit_amount",
    "allocated_amount",
    "allocated_currency",
    "paid_amount",
    "settled_amount",
    "allocations",
    "is_currency_mismatch",
    "is_paid_twice",
    "is_paid_unapproved",
    "is_over_allocated",
    "is_under_allocated",
    "is_settled_differs",
)


def _outcome(row: Row) -> str:
    if row["status"] == "completed":
        return "completed"
    if row["status"] != "failed":
        return "open"
    return "returned" if row["is_returned"] else "failed"


def _fee(payout: Row, events: list[Event]) -> tuple[Decimal, str] | None:
    """What the provider charged at the newest completion, else what the newest event states; None before the first."""
    completions = [event for event in events if event.type == "payout.completed"]
    if not completions:
        return None
    charged = completions[-1].money("completion.provider_fee")
    if charged is not None:
        return charged.amount, charged.currency
    if payout["fee_amount"] is None:
        return None
    fees = [read_money(fee["amount"]) for fee in events[-1].at("payout.fees") if fee.get("amount")]
    assert fees[0] is not None
    return payout["fee_amount"], fees[0].currency


def performance_rows(payouts: list[Row], events: list[Event], timezone: str, rates: Rates) -> list[Row]:
    """`payout_performance_daily`."""
    told = payout_groups(events)
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for payout in payouts:
        own = told[payout["source_id"], payout["payout_id"]]
        day = local_date(own[0].occurred_at, timezone)
        method, provider = (own[-1].at(f"payout.{name}") or "unknown" for name in ("method", "provider"))
        groups.setdefault((payout["source_id"], day, method, provider, payout["currency"]), []).append(payout)
    rows = []
    for key, group in groups.items():
        day, currency = key[1], key[4]
        by_outcome: dict[str, list[Row]] = {name: [] for name in ("open", "completed", "failed", "returned")}
        for payout in group:
            by_outcome[_outcome(payout)].append(payout)
        completed = by_outcome["completed"]
        ended = [payout for payout in group if payout not in by_outcome["open"]]
        first = [each for each in ended if each["retry_of_payout_id"] is None and each["attempt"] in (None, 1)]
        at_once = [each for each in first if each in completed and each["failed_at"] is None]
        rate = rates.on(day, currency)
        fees = [fee for each in group if (fee := _fee(each, told[each["source_id"], each["payout_id"]]))]
        fees_rc = [None if (its := rates.on(day, each)) is None else its.of(amount) for amount, each in fees]
        times = sorted(
            time for each in completed if (time := seconds(each["scheduled_at"], each["completed_at"])) is not None
        )
        values = (
            *key,
            len(group),
            *(len(each) for each in by_outcome.values()),
            len(first),
            len(at_once),
            _amount(group),
            *(_amount(each) for each in by_outcome.values()),
            null_or_sum([None if rate is None else rate.of(each["amount"]) for each in completed]),
            null_or_sum([amount if each == currency else None for amount, each in fees]),
            null_or_sum(fees_rc),
            _share(len(completed), len(ended)),
            _share(_amount(completed), _amount(ended)),
            _share(len(at_once), len(first)),
            _percentile(times, 50),
            _percentile(times, 90),
        )
        rows.append(dict(zip(PERFORMANCE_COLUMNS, values, strict=True)))
    return rows


def _amount(payouts: Iterable[Row]) -> Decimal:
    return sum((payout["amount"] for payout in payouts), Decimal(0))


def _share(part: Decimal | int, whole: Decimal | int) -> float | None:
    return float(part) / float(whole) if whole else None


def _percentile(ordered: list[int], percent: int) -> int | None:
    """The first of *ordered* up to which so many of a hundred are."""
    for count, value in enumerate(ordered, start=1):
        if count * 100 >= len(ordered) * percent:
            return value
    return None


def failure_rows(payouts: list[Row], as_of: date | None, timezone: str, rates: Rates) -> list[Row]:
    """`payout_failures_open`: from each failure onwards, along whoever tried it again."""
    tried_again: dict[tuple[str, str], list[Row]] = {}
    for payout in payouts:
        if payout["retry_of_payout_id"] is not None:
            tried_again.setdefault((payout["source_id"], payout["retry_of_payout_id"]), []).append(payout)
    rows = []
    for payout in payouts:
        if payout["status"] != "failed":
            continue
        assert as_of is not None
        retries: dict[str, Row] = {}
        waiting = [payout]
        while waiting:
            for retry in tried_again.get((payout["source_id"], waiting.pop()["payout_id"]), []):
                if retry["payout_id"] not in {payout["payout_id"], *retries}:
                    retries[retry["payout_id"]] = retry
                    waiting.append(retry)
        if any(
            each["status"] == "completed" and each["completed_at"] >= payout["failed_at"] for each in retries.values()
        ):
            continue
        failed_on = local_date(payout["failed_at"], timezone)
        rate = rates.on(as_of, payout["debit_currency"])
        values = (
            payout["source_id"],
            payout["payout_id"],
            payout["partner_id"],
            payout["debit_amount"],
            None if rate is None else rate.of(payout["debit_amount"]),
            len(retries),
            (as_of - failed_on) // timedelta(days=1),
            payout["is_returned"],
            any(each["status"] in ("scheduled", "processing") for each in retries.values()),
            not retries,
            failed_on,
            as_of,
        )
        rows.append(dict(zip(FAILURE_COLUMNS, values, strict=True)))
    return rows


def reconciliation_rows(payouts: list[Row], events: list[Event], ledger: list[Row]) -> list[Row]:
    """`payout_reconciliation`: completed payouts in the order they completed, each looking back at the ones before."""
    told = payout_groups(events)
    by_id = {(payout["source_id"], payout["payout_id"]): payout for payout in payouts}
    settled: dict[tuple[str, str, str, str], Decimal] = {}
    paid_again: set[tuple[str, str]] = set()
    completed = [payout for payout in payouts if payout["status"] == "completed"]
    for payout in sorted(completed, key=lambda each: (each["completed_at"], each["payout_id"])):
        own = payout["source_id"], payout["payout_id"]
        shares: dict[tuple[str, str, str, str], Decimal] = {}
        for kind, thing_id, amount, currency in _allocations(told[own]):
            if thing_id is not None and amount is not None:
                thing = own[0], kind, thing_id, currency
                shares[thing] = shares.get(thing, Decimal(0)) + amount
        for thing, amount in shares.items():
            is_shared = thing in settled
            settled[thing] = settled.get(thing, Decimal(0)) + abs(amount)
            if is_shared and settled[thing] > _worth(ledger, thing):
                paid_again.add(own)
        tried_before = by_id.get((own[0], payout["retry_of_payout_id"]))
        if tried_before is not None and tried_before is not payout and tried_before["status"] == "completed":
            paid_again.add(own)
    return [_reconciled(payout, told[key], ledger, is_paid_twice=key in paid_again) for key, payout in by_id.items()]


def _allocations(events: list[Event]) -> list[tuple[str, str | None, Decimal | None, str]]:
    """Kind and id of what is settled, amount and currency, of the newest event that says any."""
    for event in reversed(events):
        found = event.at("payout.allocations")
        if found:
            allocations: list[tuple[str, str | None, Decimal | None, str]] = []
            for each in found:
                money = read_money(each.get("amount"))
                kind = "adjustment" if each.get("adjustment_id") is not None else "commission"
                thing_id = each.get(f"{kind}_id")
                allocations.append((kind, thing_id, money.amount if money else None, money.currency if money else ""))
            return allocations
    return []


def _worth(ledger: list[Row], thing: tuple[str, str, str, str]) -> Decimal:
    source_id, kind, thing_id, currency = thing
    own = [
        row["amount"]
        for row in ledger
        if (row["source_id"], row[f"{kind}_id"], row["currency"]) == (source_id, thing_id, currency)
        and (kind == "adjustment" or row["bucket"] == "payable")
    ]
    gained = sum((amount for amount in own if amount > 0), Decimal(0))
    lost = -sum((amount for amount in own if amount < 0), Decimal(0))
    return max(gained, lost)


def _reconciled(payout: Row, events: list[Event], ledger: list[Row], *, is_paid_twice: bool) -> Row:
    source_id, is_paid = payout["source_id"], payout["status"] == "completed"
    allocations = _allocations(events)
    currencies = {currency for *_, currency in allocations} - {""}
    currency = currencies.pop() if len(currencies) == 1 else None
    is_mismatch = bool(allocations) and currency != payout["debit_currency"] and bool(currency or currencies)
    amount = None
    if currency is not None and all(each[2] is not None for each in allocations):
        amount = null_or_sum([each[2] for each in allocations])
    is_comparable = amount is not None and currency == payout["debit_currency"]
    is_unapproved = is_paid and any(
        thing_id is not None and not _is_payable(ledger, source_id, kind, thing_id, payout["completed_at"])
        for kind, thing_id, *_ in allocations
    )
    completions = [event for event in events if event.type == "payout.completed"]
    settled = completions[-1].money("completion.settled") if completions else None
    checks = {
        "currency_mismatch": is_mismatch,
        "paid_twice": is_paid_twice,
        "paid_unapproved": is_unapproved,
        "over_allocated": is_comparable and amount is not None and amount > payout["debit_amount"],
        "under_allocated": is_comparable and amount is not None and amount < payout["debit_amount"],
        "settled_differs": is_paid
        and settled is not None
        and (settled.amount, settled.currency) != (payout["amount"], payout["currency"]),
    }
    entries = [row for row in ledger if (row["source_id"], row["payout_id"]) == (source_id, payout["payout_id"])]
    values = (
        source_id,
        payout["payout_id"],
        payout["partner_id"],
        next((name for name, is_wrong in checks.items() if is_wrong), "matched"),
        payout["debit_amount"],
        amount,
        currency,
        -sum((row["amount"] for row in entries), Decimal(0)),
        None if settled is None else settled.amount,
        len(allocations),
        *checks.values(),
    )
    return dict(zip(RECONCILIATION_COLUMNS, values, strict=True))


def _is_payable(ledger: list[Row], source_id: str, kind: str, thing_id: str, by: Any) -> bool:
    def approved(commission_id: str | None) -> bool:
        return any(
            row["entry_type"] == "approved" and row["effective_at"] <= by
            for row in ledger
            if commission_id is not None and (row["source_id"], row["commission_id"]) == (source_id, commission_id)
        )

    if kind == "commission":
        return approved(thing_id)
    own = [row for row in ledger if (row["source_id"], row["adjustment_id"]) == (source_id, thing_id)]
    return any(
        row["effective_at"] <= by if row["bucket"] == "payable" else approved(row["commission_id"]) for row in own
    )
