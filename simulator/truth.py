"""
What is true of a played programme: counts and the monthly statement, by the simulator's own books.

The books are kept as the programme is played: sums by month, partner and currency, so that they take the same room
however many events there are. No mart, and nothing that builds one, has a part in them.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from simulator.postings import Posting

_FORMAT = 2
_NOTHING = Decimal(0)


@dataclass(slots=True)
class Tally:
    """
    How many there are of what.

    Attributes:
        event_types: Without test events.
        counts: Of each thing that is noted, by key.
    """

    event_types: Counter[str] = field(default_factory=Counter)
    test_events: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


class StatementRow(NamedTuple):
    """A month of a partner in a currency; the columns are those of `commission_statement_monthly`."""

    month: date
    partner_id: str
    currency: str
    opening_balance: Decimal
    earned: Decimal
    adjusted: Decimal
    transferred: Decimal
    paid: Decimal
    returned: Decimal
    closing_balance: Decimal
    pending_balance: Decimal
    payable_balance: Decimal
    in_transit_balance: Decimal
    prior_period_amount: Decimal


MONEY_COLUMNS = StatementRow._fields[3:]
_BALANCES = ("closing_balance", "pending_balance", "payable_balance", "in_transit_balance")


@dataclass(slots=True)
class _Month:
    flows: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    pending: Decimal = _NOTHING
    payable: Decimal = _NOTHING
    in_transit: Decimal = _NOTHING
    prior: Decimal = _NOTHING


class Books:
    """
    The accountant: postings in, statement out.

    Attributes:
        adjustments: What was adjusted, by type and currency.
    """

    def __init__(self, zone: tzinfo, closed: Collection[date] = ()) -> None:
        """
        Begin months at midnight in *zone*.

        Args:
            closed: Months, by their first day, that were closed when what is late came.
        """
        self._zone = zone
        self._closed = frozenset(closed)
        self.adjustments: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self._months: dict[tuple[str, str], dict[date, _Month]] = defaultdict(lambda: defaultdict(_Month))

    def book(self, at: datetime, postings: Sequence[Posting], *, is_late: bool = False) -> None:
        """Book what happened *at*, in any order of time; what is late in the first month that is not closed."""
        effective = month = at.astimezone(self._zone).date().replace(day=1)
        while is_late and month in self._closed:
            month = _next_month(month)
        for posting in postings:
            booked = self._months[posting.partner_id, posting.currency][month]
            booked.flows[posting.flow] += posting.amount
            booked.pending += posting.pending
            booked.payable += posting.payable
            booked.in_transit += posting.in_transit
            # What is moved from one balance to another changes none of a month before.
            if month != effective and posting.flow != "moved":
                booked.prior += posting.amount
            if posting.kind is not None:
                self.adjustments[posting.kind, posting.currency] += posting.amount

    def statement(self) -> Iterator[StatementRow]:
        """From the first month of each partner and currency to the last month of anybody, without a gap."""
        last = max((month for months in self._months.values() for month in months), default=None)
        if last is None:
            return
        for (partner_id, currency), months in sorted(self._months.items()):
            opening, month = _NOTHING, min(months)
            pending = payable = in_transit = _NOTHING
            while month <= last:
                booked = months.get(month) or _Month()
                pending += booked.pending
                payable += booked.payable
                in_transit += booked.in_transit
                flows = booked.flows
                closing = (
                    opening
                    + flows["earned"]
                    + flows["adjusted"]
                    + flows["transferred"]
                    + flows["paid"]
                    + flows["returned"]
                )
                if closing != pending + payable + in_transit:
                    raise AssertionError(f"The simulator's own books do not close: {partner_id} {currency} {month}.")
                yield StatementRow(
                    month,
                    partner_id,
                    currency,
                    opening,
                    flows["earned"],
                    flows["adjusted"],
                    flows["transferred"],
                    -flows["paid"],
                    flows["returned"],
                    closing,
                    pending,
                    payable,
                    in_transit,
                    booked.prior,
                )
                opening, month = closing, _next_month(month)


COUNTS = (
    "conversions",
    "partner_conversions",
    "duplicate_conversions",
    "rejections",
    "tier_changes",
    "exceptions",
)
"""
What is counted: conversions by the status each has at last, and by partner and status; those that are the same order as
another one; rejecting events by category and reason; tier changes by direction; exceptions by rule.
"""


@dataclass(frozen=True, slots=True)
class Truth:
    """
    What the marts of a played programme have to say.

    Attributes:
        programme: Which one it is; any other has another.
        timezone: In which months begin.
        event_types: How many events of each type count.
        test_events: How many say that they are test events; they are loaded, and nothing of them counts.
        counts: How many there are of what, by name and key; see `COUNTS`.
        adjustments: What was adjusted in all, by type and currency.
    """

    programme: str
    timezone: str
    event_types: dict[str, int]
    test_events: int
    counts: dict[str, dict[str, int]]
    adjustments: dict[tuple[str, str], Decimal]
    statement: tuple[StatementRow, ...]

    @property
    def events(self) -> int:
        return sum(self.event_types.values()) + self.test_events

    @property
    def balances(self) -> tuple[StatementRow, ...]:
        """The last row of every partner and currency."""
        return tuple({(row.partner_id, row.currency): row for row in self.statement}.values())

    def document(self) -> bytes:
        """As JSON; amounts are text, exact."""
        return orjson.dumps(
            {
                "truth": _FORMAT,
                "programme": self.programme,
                "timezone": self.timezone,
                "events": self.events,
                "test_events": self.test_events,
                "event_types": dict(sorted(self.event_types.items())),
                **{name: dict(sorted(self.counts.get(name, {}).items())) for name in COUNTS},
                "adjustments": [
                    {"type": kind, "currency": currency, "amount": format(amount, "f")}
                    for (kind, currency), amount in sorted(self.adjustments.items())
                ],
                "balances": [_amounts_as_text(row, ("partner_id", "currency", *_BALANCES)) for row in self.balances],
                "statement": [_amounts_as_text(row, row._fields) for row in self.statement],
            },
            option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )


def read_truth(document: bytes) -> Truth:
    """
    Read back what `Truth.document` wrote.

    Raises:
        ValueError: It is no such document.
    """
    try:
        told: Any = orjson.loads(document)
        return Truth(
            programme=told["programme"],
            timezone=told["timezone"],
            event_types=told["event_types"],
            test_events=told["test_events"],
            counts={name: told[name] for name in COUNTS},
            adjustments={(row["type"], row["currency"]): Decimal(row["amount"]) for row in told["adjustments"]},
            statement=tuple(
                StatementRow(
                    date.fromisoformat(row["month"]),
                    row["partner_id"],
                    row["currency"],
                    *(Decimal(row[name]) for name in MONEY_COLUMNS),
                )
                for row in told["statement"]
            ),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ArithmeticError) as error:
        raise ValueError(
            "This is not the truth of a played programme, as `hookmart simulate --out` writes it."
        ) from error


def _amounts_as_text(row: StatementRow, names: Sequence[str]) -> dict[str, str]:
    return {
        name: format(value, "f") if isinstance(value := getattr(row, name), Decimal) else str(value) for name in names
    }


def _next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
