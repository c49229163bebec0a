"""What the operator sees of customers and no webhook carries: what they play or pay for each day, and what it costs."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

from simulator.cast import Member, Span
from simulator.conversions import Conversion
from simulator.roster import Plot
from simulator.wire import price, rounded, share

_NOTHING = Decimal(0)


class Parts(NamedTuple):
    """What a customer was worth: gross revenue, and what comes off it. Named as in the input `player_activity`."""

    ggr: Decimal = _NOTHING
    bonus_cost: Decimal = _NOTHING
    chargebacks: Decimal = _NOTHING
    payment_fees: Decimal = _NOTHING
    gaming_tax: Decimal = _NOTHING
    other_deductions: Decimal = _NOTHING

    @property
    def net(self) -> Decimal:
        return self.ggr - sum(self[1:], _NOTHING)


class ActivityDay(NamedTuple):
    """A customer's day."""

    customer_id: str
    on: date
    currency: str
    parts: Parts
    deposits: Decimal = _NOTHING
    lots: Decimal = _NOTHING


class Activity:
    """
    Takes down what customers are worth, and sums it by partner and month.

    Days on which the programme is over already are not taken down.
    """

    def __init__(self, rng: Random, span: Span, on_day: Callable[[ActivityDay], None] | None) -> None:
        """*on_day* is called with every day of every customer, in no order of time."""
        self._rng = rng
        self._span = span
        self._on_day = on_day
        self._months: dict[tuple[str, date], Parts] = defaultdict(Parts)

    def of_month(self, member: Member, month: date) -> Parts:
        """What the customers of *member* were worth in the month of *month*, in the currency of its commissions."""
        return self._months[member.partner_id, month.replace(day=1)]

    def play_on(self, conversion: Conversion) -> None:
        """Let the customer of a first deposit gamble from then on, for some days or weeks."""
        rng, currency = self._rng, conversion.currency
        if conversion.value is None:
            return
        stake = conversion.value
        at = conversion.occurred_at
        for _ in range(60):
            won = Decimal(str(round(rng.triangular(-0.6, 1.0, 0.6), 4)))
            ggr = rounded(stake * won, currency)
            parts = Parts(
                ggr=ggr,
                bonus_cost=share(stake, Decimal(6), currency),
                payment_fees=share(stake, Decimal("2.5"), currency),
                gaming_tax=share(max(ggr, _NOTHING), Decimal(15), currency),
            )
            self._take_down(conversion, at, parts, deposits=stake)
            if rng.random() < 0.11:
                return
            at += timedelta(days=rng.randint(1, 6))
            stake = price(Decimal(rng.randint(20, 160)), currency)

    def trade(self, conversion: Conversion) -> None:
        """Earn the spread on the lots of a trade."""
        currency = conversion.currency
        lots = Decimal(str(conversion.details["trade_volume_lots"]))
        spread = rounded(price(Decimal(10), currency) * lots, currency)
        parts = Parts(ggr=spread, payment_fees=share(spread, Decimal(2), currency))
        self._take_down(conversion, conversion.occurred_at, parts, lots=lots)

    def pay(self, conversion: Conversion) -> None:
        """Take a payment: a subscription, or the fee of a challenge, of which some goes to traders who are funded."""
        rng, currency = self._rng, conversion.currency
        if conversion.value is None:
            return
        is_challenge = conversion.kind == "challenge_purchase"
        parts = Parts(
            ggr=conversion.value,
            chargebacks=conversion.value if rng.random() < 0.02 else _NOTHING,
            payment_fees=share(conversion.value, Decimal("2.9"), currency),
            other_deductions=share(conversion.value, Decimal(rng.randint(0, 60) if is_challenge else 8), currency),
        )
        self._take_down(conversion, conversion.occurred_at, parts, deposits=conversion.value)

    def _take_down(
        self,
        conversion: Conversion,
        at: datetime,
        parts: Parts,
        *,
        deposits: Decimal = _NOTHING,
        lots: Decimal = _NOTHING,
    ) -> None:
        member, on = conversion.member, at.date()
        if on >= self._span.until.date() or member.is_test:
            return
        if member.plot is Plot.NEGATIVE_MONTH and on.replace(day=1) == member.approved_at.date().replace(day=1):
            # A winning streak, trades that were hedged badly, or refunds: whatever it is, it costs more than came in.
            parts = parts._replace(other_deductions=parts.other_deductions + 2 * abs(parts.ggr))
        if conversion.currency == member.profile.currency:
            key = member.partner_id, on.replace(day=1)
            summed = self._months[key]
            self._months[key] = Parts(*(one + other for one, other in zip(summed, parts, strict=True)))
        if self._on_day is not None:
            customer = conversion.customer.customer_id
            self._on_day(ActivityDay(customer, on, conversion.currency, parts, deposits, lots))
