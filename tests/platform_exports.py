"""A platform's own export of what the marts hold: written out of the truth, so that a test may tamper with it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from pipelines.platform_report import ReportShape
from pipelines.report_file import FileLayout
from pipelines.report_values import NumberStyle
from tests.line import Line

MOVES = ("earned", "restated", "adjusted", "approval_variance", "transferred")
HEADERS = {
    "id": "Ref", "partner": "Affiliate", "day": "Date", "timestamp": "When", "currency": "Cur", "kind": "Type",
    "amount": "Total", "count": "Cnt",
}  # fmt: skip


def created(number: int, at: str) -> dict[str, Any]:
    """A conversion of source `clock`, created at a given time."""
    return {
        "source": "clock", "id": f"evt_{number}", "type": "conversion.created", "schema_version": "1.0",
        "timestamp": at,
        "data": {
            "conversion": {"id": f"cnv_{number}", "type": "sale", "occurred_at": at,
                           "value": {"amount": "10.5", "currency": "EUR"}},
            "partner": {"id": "ptn_1"},
        },
    }  # fmt: skip


CLOCK = (
    "2026-03-28T22:59:59Z",  # 23:59:59 in Malta, on the day before
    "2026-03-28T23:00:00Z",  # midnight there
    "2026-03-29T00:59:59Z",  # the last second of winter
    "2026-03-29T01:00:00Z",  # three o'clock in summer
    "2026-10-25T00:30:00Z",  # half past two, for the first time
    "2026-10-25T01:30:00Z",  # half past two, again
    "2026-11-01T04:30:00Z",  # half past midnight in Havana, for the first time
    "2026-11-01T05:30:00Z",  # again
)


PAID = json.loads((Path(__file__).parent / "fixtures" / "events" / "14_payout.completed.json").read_text())
PAID |= {"source": "acme", "id": "evt_paid"}
PAID["data"]["payout"]["id"] = "po_paid"
for _name, _amount in (("amount", "500.00"), ("debit", "505.00"), ("gross", "512.00")):
    PAID["data"]["payout"][_name]["amount"] = _amount


@dataclass(frozen=True)
class Exported:
    """One thing in a platform's export; `at` is in UTC without a zone, `events` how many it is counted as."""

    kind: str
    id: str
    partner: str | None
    at: datetime
    currency: str | None
    amount: Decimal | None
    events: int = 1


@dataclass(frozen=True)
class ExportStyle:
    """How a platform writes: the format, by id or in sums, days or timestamps (with offsets or not), of which zone."""

    suffix: str = ".csv"
    is_by_id: bool = True
    has_timestamps: bool = False
    has_offsets: bool = True
    zone: str = "UTC"
    style: NumberStyle = field(default_factory=NumberStyle)

    @property
    def shape(self) -> ReportShape:
        """What a report in this style is like."""
        names = ["kind", "partner", "currency", "amount", "timestamp" if self.has_timestamps else "day"]
        names.append("id" if self.is_by_id else "count")
        return ReportShape(
            columns={name: HEADERS[name] for name in names}, constants={}, zone=ZoneInfo(self.zone),
            is_by_id=self.is_by_id, is_summed=not self.is_by_id, style=self.style,
            layout=FileLayout(delimiter=";" if self.style.decimal == "," else ","),
        )  # fmt: skip

    def day(self, at: datetime) -> date:
        """The day on which the platform has *at*."""
        return at.replace(tzinfo=UTC).astimezone(ZoneInfo(self.zone)).date()


def truth(line: Line, source: str) -> list[Exported]:
    """Everything that the published marts hold of *source*, by kind, worked out row by row."""
    conversions = line.query(f"from marts.conversions where source_id = '{source}'")
    rows = [_conversion("conversion", each, each["created_at"]) for each in conversions]
    for kind, status, at in (
        ("conversion_qualified", "qualified", "first_qualified_at"),
        ("conversion_rejected", "rejected", "last_rejected_at"),
    ):
        rows += [_conversion(kind, each, each[at]) for each in conversions if each["status"] == status]
    for each in line.query(f"from marts.fraud_rejections where source_id = '{source}'"):
        money = (each["value_currency"], each["value_amount"])
        rows.append(Exported("rejection", each["event_id"], each["partner_id"], each["occurred_at"], *money))
    for each in line.query(f"from marts.payouts where source_id = '{source}'"):
        paid = (each["payout_id"], each["partner_id"])
        if each["completed_at"]:
            rows.append(Exported("payout", *paid, each["completed_at"], each["currency"], each["amount"]))
        if each["is_returned"]:
            rows.append(Exported("payout_returned", *paid, each["failed_at"], each["currency"], each["amount"]))
    return rows + _net_commissions(line, source) + _moves(line, source)


def _conversion(kind: str, row: dict[str, Any], at: datetime) -> Exported:
    return Exported(kind, row["conversion_id"], row["partner_id"], at, row["value_currency"], row["value_amount"])


def _net_commissions(line: Line, source: str) -> list[Exported]:
    commissions = {
        each["commission_id"]: each for each in line.query(f"from marts.commissions where source_id = '{source}'")
    }
    sums: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    begins: dict[str, datetime] = {}
    entries = line.query(f"from marts.commission_ledger where source_id = '{source}' order by effective_at")
    for each in entries:
        if each["entry_type"] in MOVES and each["commission_id"]:
            sums[each["commission_id"], each["partner_id"], each["currency"]] += each["amount"]
            begins.setdefault(each["commission_id"], each["effective_at"])
    rows = []
    for (commission_id, partner, currency), amount in sums.items():
        row = commissions.get(commission_id, {})
        at = row.get("calculated_at") or row.get("approved_at") or begins[commission_id]
        rows.append(Exported("commission", commission_id, partner, at, currency, amount))
    return rows


def _moves(line: Line, source: str) -> list[Exported]:
    rows = []
    for each in line.query(f"from marts.commission_ledger where source_id = '{source}'"):
        if each["entry_type"] not in MOVES:
            continue
        is_earned = each["entry_type"] in {"earned", "restated"}
        adjustment = each["adjustment_id"] or each["commission_id"] or each["source_event_id"]
        rows.append(
            Exported(
                "commission_earned" if is_earned else "commission_adjusted",
                each["commission_id"] if is_earned else adjustment, each["partner_id"], each["effective_at"],
                each["currency"], each["amount"], int(each["entry_type"] not in {"restated", "approval_variance"}),
            )
        )  # fmt: skip
    return rows


def one_per_id(rows: Iterable[Exported]) -> list[Exported]:
    """The same with the moves of one commission, partner and currency as one row, dated as the first of them."""
    merged: dict[tuple[Any, ...], Exported] = {}
    for row in rows:
        key = (row.kind, row.id, row.partner, row.currency)
        if key in merged:
            old = merged[key]
            row = replace(old, at=min(old.at, row.at), amount=(old.amount or Decimal(0)) + (row.amount or 0))  # noqa: PLW2901
        merged[key] = row
    return list(merged.values())


def write_export(rows: Sequence[Exported], path: Path, style: ExportStyle) -> Path:
    """Write *rows* in *style*; numbers and times as the format has them, or as text."""
    table = [_by_id(row, style) for row in rows] if style.is_by_id else _sums(rows, style)
    columns = style.shape.columns
    frame = pd.DataFrame([{columns[name]: row[name] for name in columns} for row in table], columns=[*columns.values()])
    target = path.with_suffix(style.suffix)
    if style.suffix == ".parquet":
        frame.to_parquet(target)
    elif style.suffix == ".xlsx":
        amount = columns["amount"]
        frame[amount] = [None if each is None else float(each) for each in frame[amount]]
        frame.to_excel(target, index=False)
    else:
        frame[columns["amount"]] = [_written(each, style.style) for each in frame[columns["amount"]]]
        frame.to_csv(target, index=False, sep=style.shape.layout.delimiter)
    return target


def _by_id(row: Exported, style: ExportStyle) -> dict[str, Any]:
    return {**vars(row), "day": style.day(row.at), "timestamp": _stamp(row.at, style)}


def _sums(rows: Iterable[Exported], style: ExportStyle) -> list[dict[str, Any]]:
    sums: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        at = style.day(row.at) if not style.has_timestamps else row.at
        found = sums.setdefault((row.kind, row.partner, at, row.currency), [0, Decimal(0), row.at])
        found[0] += row.events
        found[1] += row.amount or 0
    return [
        {
            "kind": kind, "partner": partner, "day": style.day(at), "timestamp": _stamp(at, style),
            "currency": currency, "count": count, "amount": amount,
        }
        for (kind, partner, _, currency), (count, amount, at) in sums.items()
    ]  # fmt: skip


def _stamp(at: datetime, style: ExportStyle) -> str:
    local = at.replace(tzinfo=UTC).astimezone(ZoneInfo(style.zone))
    return (local if style.has_offsets else local.replace(tzinfo=None)).isoformat(sep=" ")


def _written(amount: Decimal | None, style: NumberStyle) -> str:
    if amount is None:
        return ""
    integer, _, decimals = f"{amount:f}".partition(".")
    grouped = f"{abs(int(integer)):,}".replace(",", style.thousands)
    return f"{'-' if amount < 0 else ''}{grouped}{style.decimal + decimals if decimals else ''}"
