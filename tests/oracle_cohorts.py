"""The oracle's cohorts: what customers of one partner and month brought and cost, month by month."""

from decimal import Decimal

from tests.oracle_economics import (
    Economics,
    following,
    fraction,
    grouped_rows,
    minus,
    months_between,
    plus,
    total,
    worth,
)
from tests.oracle_events import Row


def customer_cohorts(economics: Economics) -> list[Row]:
    """From acquisition to the newest month of ledger or activity."""
    cohorts = grouped_rows(
        ({"id": key, **row} for key, row in economics.customers.items()),
        lambda row: (row["id"][0], row["partner_id"], row["month"]),
    )
    newest_month = max(
        [row["month"] for row in economics.entries]
        + [row["month"] for row in economics.customers.values()]
        + [row["month"] for row in economics.activity if row["customer"]],
        default=None,
    )
    rows = []
    for (source_id, partner_id, acquired), customers in cohorts.items():
        assert newest_month is not None
        members = {row["id"][1] for row in customers}
        cumulative: Decimal | None = Decimal(0)
        paid_back = None
        own: list[Row] = []
        for age in range(months_between(acquired, newest_month) + 1):
            month = following(acquired, age)
            days = [
                row
                for row in economics.activity
                if row["source_id"] == source_id
                and row["customer_id"] in members
                and (row["month"] == month or (age == 0 and row["month"] < month))
            ]
            booked = [
                row
                for row in economics.entries
                if row["source_id"] == source_id
                and _customer_of(row) in members
                and (row["month"] == month or (age == 0 and row["month"] < month))
            ]
            has_days = economics.has_activity(source_id, month)
            revenue = worth(days) if has_days else None
            commission = total(row["rc"] for row in booked)
            spend = Decimal(0) if age else economics.spend(source_id, partner_id, acquired)
            spend = spend if economics.has_spend(source_id, acquired) else None
            cost = plus(commission, spend)
            cumulative = plus(cumulative, minus(revenue, cost))
            if cumulative is not None and cumulative >= 0 and paid_back is None:
                paid_back = age
            active = len({row["customer_id"] for row in days if row["is_active"]}) if has_days else None
            own.append(
                {
                    "source_id": source_id,
                    "partner_id": partner_id,
                    "acquisition_month": acquired,
                    "age_months": age,
                    "month": month,
                    "customers": len(members),
                    "active_customers": active,
                    "retention_rate": fraction(active, len(members)),
                    "ngr_rc": revenue,
                    "commission_rc": commission,
                    "marketing_spend_rc": spend,
                    "cost_rc": cost,
                    "margin_rc": minus(revenue, cost),
                    "cumulative_margin_rc": cumulative,
                }
            )
        rows += [{**row, "payback_age_months": paid_back} for row in own]
    return rows


def _customer_of(row: Row) -> str | None:
    commission = row["commission"]
    if commission is None:
        return None
    found = commission["customer_id"] or (commission["conversion"] or {}).get("customer_id")
    return None if found is None else str(found)
