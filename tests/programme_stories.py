"""The stories of a random programme: partners, clicks, conversions, commissions, payouts and their accidents."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tests.programme_events import EXPONENTS, Json, Storyteller

_MONTH_ENDS = tuple(datetime(2026, month, 1) for month in range(2, 12))
_CLOCK_CHANGES = (datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1))
_BEGIN = datetime(2026, 1, 5)

_PAYOUT_STORIES = (
    ("scheduled", "processing", "completed"),
    ("scheduled", "failed"),
    ("failed",),
    ("completed",),
    ("failed", "failed"),
    ("scheduled", "completed", "failed"),
    ("scheduled", "completed", "failed", "completed"),
    ("scheduled", "completed", "failed", "failed", "processing", "failed"),
    ("completed", "scheduled"),
    ("scheduled", "completed", "processing", "failed", "processing"),
    ("scheduled", "processing", "failed", "scheduled", "completed"),
    ("completed", "failed", "scheduled", "failed"),
    ("completed", "failed", "processing", "completed", "completed"),
    ("processing", "scheduled"),
)
_PARTNER_STORIES = (
    ("registered", "approved"),
    ("registered", "approved", "suspended", "approved"),
    ("registered", "approved", "terminated", "registered"),
    ("approved", "terminated"),
    ("registered",),
    ("suspended", "registered", "approved"),
)
_PARTNER_STATUS = {"registered": "pending", "approved": "active", "suspended": "suspended", "terminated": "terminated"}


@dataclass
class Programme:
    """One source's programme; its events gather in `teller.posts` in the order they are told."""

    teller: Storyteller
    partner_count: int
    currencies: Sequence[str]
    partner_ids: list[str] = field(init=False)
    parents: dict[str, str | None] = field(init=False)
    commission_count: int = 0
    adjustment_count: int = 0

    def __post_init__(self) -> None:
        self.rng = self.teller.rng
        self.partner_ids = [self.teller.name("ptn", number) for number in range(self.partner_count)]
        # A parent is an earlier partner, so that no hierarchy bites its own tail.
        self.parents = {
            partner_id: self.rng.choice([None, *self.partner_ids[:place]])
            for place, partner_id in enumerate(self.partner_ids)
        }

    # ---------- moments and choices

    def _moment(self) -> datetime:
        near = self.rng.random()
        if near < 0.4:
            return self.rng.choice(_MONTH_ENDS) + timedelta(minutes=15 * self.rng.randint(-20, 20))
        if near < 0.5:
            return self.rng.choice(_CLOCK_CHANGES) + timedelta(minutes=15 * self.rng.randint(-8, 8))
        return _BEGIN + timedelta(seconds=self.rng.randint(0, 300 * 86_400), microseconds=self.rng.choice((0, 0, 1)))

    def _moments(self, count: int) -> list[datetime]:
        """Mostly rising; at times equal, and at times out of order."""
        moments: list[datetime] = []
        at = self._moment()
        for _ in range(count):
            moments.append(at)
            gap = self.rng.random()
            if gap < 0.2:
                continue
            if gap < 0.3:
                at = min((end for end in _MONTH_ENDS if end > at), default=at) + timedelta(minutes=-30)
            else:
                at += timedelta(seconds=self.rng.choice((0.000001, 1.5, 3600, 86_400, 9 * 86_400)))
        if self.teller.happens(0.15):
            self.rng.shuffle(moments)
        return moments

    def _partner_id(self) -> str:
        return self.rng.choice(self.partner_ids)

    def _snapshot(self, partner_id: str) -> Json:
        return self.teller.partner(partner_id, self.parents)

    def _other_currency(self, currency: str, share: float) -> str:
        return self.rng.choice(self.currencies) if self.teller.happens(share) else currency

    # ---------- partners and clicks

    def tell_partners(self) -> None:
        """Some partners come with a life, the others are known from their money only."""
        for number, partner_id in enumerate(self.partner_ids):
            if self.teller.happens(0.3):
                continue
            story = self.rng.choice(_PARTNER_STORIES)
            is_test: bool | None = self.rng.choice((None, None, False))
            moments = self._moments(len(story))
            for place, (step, at) in enumerate(zip(story, moments, strict=True)):
                if number in (1, 2) and len(self.partner_ids) > 3:
                    # One stays a test partner; the other has left the sandbox by its newest event.
                    is_test = number == 1 or at < max(moments)
                merged_into = self._partner_id() if step == "terminated" and self.teller.happens(0.5) else None
                change = {
                    "status": _PARTNER_STATUS[step],
                    "reason_code": "merged" if merged_into else None,
                    "effective_at": self.teller.near(at),
                    "merged_into_partner_id": merged_into,
                }
                partner = self.teller.full_partner(partner_id, self.parents, is_test=is_test)
                data = {"partner": partner, "change": self.teller.worn(change, "status", "effective_at")}
                self.teller.post(f"partner.{step}", at, data)
                if place == 1 and self.teller.happens(0.4):
                    tier_change = self.teller.tier_change(number, at)
                    data = {"partner": self._snapshot(partner_id), "tier_change": tier_change}
                    self.teller.post("commission.tier_changed", at, data)

    def tell_click(self, number: int) -> None:
        """One click."""
        at = self._moment()
        click = {
            "id": self.teller.name("clk", number),
            "occurred_at": self.teller.near(at),
            "validity": self.rng.choice(("valid", "duplicate", "invalid")),
            "is_unique": self.rng.choice((True, False)),
            "is_bot": False,
            "cost": self.teller.money(Decimal("0.05"), "EUR"),
        }
        data = {"click": self.teller.worn(click, "id", "occurred_at"), "partner": self._snapshot(self._partner_id())}
        self.teller.post("click.tracked", at, data | self.teller.touchpoint())

    # ---------- conversions

    def tell_conversion(self, number: int) -> None:
        """A walk through the statuses; the first word of it may be lost, and some orders come under two ids."""
        teller, rng = self.teller, self.rng
        steps = ["created", *(rng.choice(("updated", "qualified", "rejected")) for _ in range(rng.randint(0, 4)))]
        if len(steps) > 1 and teller.happens(0.25):
            steps.remove("created")
        conversion_id = teller.name("cnv", number)
        external_id = f"order_{rng.randint(0, number // 2 + 1)}"
        partner_id, currency = self._partner_id(), rng.choice(self.currencies)
        value = teller.amount(currency)
        clicked_at = self._moment()
        moments = self._moments(len(steps))
        for version, (step, at) in enumerate(zip(steps, moments, strict=True), start=1):
            status = {"created": "pending", "qualified": "qualified", "rejected": "rejected"}.get(step)
            if step == "updated":
                status = rng.choice(("pending", "qualified", "rejected", "under_review", None))
                value = teller.amount(currency)
                currency = self._other_currency(currency, 0.1)
                value = value.quantize(Decimal(1).scaleb(-EXPONENTS[currency]))
                partner_id = self._partner_id() if teller.happens(0.3) else partner_id
            conversion = {
                "id": conversion_id,
                "type": rng.choice(("first_deposit", "order")) if teller.happens(0.05) else "order",
                "vertical": "igaming",
                "external_id": external_id,
                "status": status,
                "occurred_at": teller.near(moments[0]),
                "clicked_at": teller.stamp(clicked_at),
                "parent_conversion_id": f"cnv_{number - 1}" if number else None,
                "is_first": rng.choice((True, False)),
                "value": teller.money(value, currency),
                "version": version,
            }
            data: Json = {
                "conversion": teller.worn(conversion, "id", "type", "occurred_at"),
                "partner": self._snapshot(partner_id),
                "customer": rng.choice((None, {}, {"id": f"ply_{number}"}, {"id": None, "country": "DE"})),
                **teller.touchpoint(),
            }
            if step == "qualified":
                data["qualification"] = teller.qualification(at)
                if teller.happens(0.7):
                    money = teller.money(teller.amount(currency), currency)
                    data["commission_preview"] = {"commission_id": f"cm_{number}", "model": "cpa", "amount": money}
            if step == "rejected":
                data["rejection"] = teller.rejection(at)
            if step == "updated":
                data["update"] = {"reason_code": "amount_corrected", "actor": {"type": "system", "id": "psp"}}
            teller.post(f"conversion.{step}", at, data)
        for component in ("cpa", "revshare")[: rng.choice((0, 1, 1, 2))]:
            self._tell_commission(conversion_id, partner_id, self._other_currency(currency, 0.3), component)

    # ---------- commissions

    def _tell_commission(self, conversion_id: str, partner_id: str, currency: str, component: str) -> None:
        teller, rng = self.teller, self.rng
        self.commission_count += 1
        steps = ["calculated"] if teller.happens(0.9) else []
        steps += rng.choices(("adjusted", "calculated", "approved"), (5, 2, 5), k=rng.randint(0, 4))
        if teller.happens(0.2):
            rng.shuffle(steps)
        commission_id = teller.name("cm", self.commission_count)
        version: int | None = 1
        amount = teller.amount(currency, signed=teller.happens(0.2))
        pending = Decimal(0)
        for step, at in zip(steps, self._moments(len(steps)), strict=True):
            if step == "calculated":
                pending = amount
            commission = {
                "id": commission_id,
                "conversion_id": conversion_id if teller.happens(0.97) else "cnv_0",
                "model": "cpa",
                "component": component,
                "amount": teller.money(amount, currency),
                "status": rng.choice(("calculated", "approved")),
                "hold": teller.worn({"days": 17, "until": at.date().isoformat()}),
                "calculated_at": teller.near(at),
                "version": version,
            }
            data: Json = {
                "commission": teller.worn(commission, "id", "model", "amount"),
                "partner": self._snapshot(self._partner_id() if teller.happens(0.05) else partner_id),
            }
            if step == "adjusted":
                delta = teller.amount(currency, signed=True)
                pending += delta
                data["adjustment"] = self._adjustment(delta, self._other_currency(currency, 0.04))
            if step == "approved":
                approved = pending if teller.happens(0.75) else teller.amount(currency)
                data["approval"] = {
                    "approved_amount": teller.money(approved, self._other_currency(currency, 0.04)),
                    "approved_at": teller.near(at),
                }
            teller.post(f"commission.{step}", at, data)
            if step == "calculated":
                amount = teller.amount(currency) if teller.happens(0.8) else amount
                version = rng.choice((version, None, 2, 3))

    def _adjustment(self, delta: Decimal, currency: str, kind: str | None = None, other: str | None = None) -> Json:
        self.adjustment_count += 1
        kind = kind or self.rng.choice(("clawback", "correction", "bonus", "a_new_kind", "partner_transfer"))
        quantum = Decimal(1).scaleb(-EXPONENTS[currency])
        whole = {
            "id": self.teller.name("adj", self.adjustment_count),
            "type": kind,
            "amount_delta": self.teller.money(delta.quantize(quantum), currency),
            "is_after_payout": False,
            "recovery": "offset_next_payout",
            "counterparty_partner_id": other,
            "actor": {"type": "user", "id": "fin_3"},
        }
        return self.teller.worn(whole, "id", "type", "amount_delta")

    def tell_account_adjustment(self, number: int) -> None:
        """An adjustment of no commission; every other one moves a balance between two partners."""
        currency, at = self.rng.choice(self.currencies), self._moment()
        giver, taker = self._partner_id(), self._partner_id()
        delta = self.teller.amount(currency, signed=True)
        pairs: list[tuple[str, Decimal, str | None]] = [(giver, delta, None)]
        if number % 2:
            pairs = [(giver, -delta, taker), (taker, delta, giver)]
        for partner_id, amount, other in pairs:
            kind = "partner_transfer" if other else "bonus"
            data: Json = {"partner": self._snapshot(partner_id), "commission": None}
            if self.teller.happens(0.5):
                del data["commission"]
            data["adjustment"] = self._adjustment(amount, currency, kind, other)
            self.teller.post("commission.adjusted", at, data)

    # ---------- payouts

    def tell_payout(self, number: int) -> None:
        """One of the ways a payout may go; some are taken off a balance in another currency than is paid."""
        teller, rng = self.teller, self.rng
        story = rng.choice(_PAYOUT_STORIES)
        payout_id, partner_id, currency = teller.name("po", number), self._partner_id(), rng.choice(self.currencies)
        debit_currency = self._other_currency(currency, 0.3)
        amount, debit = teller.amount(currency), teller.amount(debit_currency)
        for version, (step, at) in enumerate(zip(story, self._moments(len(story)), strict=True), start=1):
            if teller.happens(0.1):
                debit = teller.amount(debit_currency)
            payout = {
                "id": payout_id,
                "status": step,
                "amount": teller.money(amount, currency),
                "debit": teller.money(debit, debit_currency),
                "fees": rng.choice((None, [], self._fees(currency, currency), self._fees(*self.currencies[:2]))),
                "method": rng.choice(("bank_transfer", "wallet")),
                "provider": "sepa_bank",
                "attempt": rng.randint(1, 3),
                "retry_of_payout_id": f"po_{number - 1}" if number and teller.happens(0.5) else None,
                "allocations": self._allocations(debit, debit_currency),
                "version": version,
            }
            data: Json = {
                "payout": teller.worn(payout, "id", "amount", "debit"),
                "partner": self._snapshot(self._partner_id() if teller.happens(0.05) else partner_id),
            }
            if step == "processing":
                data["processing"] = {"submitted_at": teller.near(at)}
            if step == "completed":
                settled = amount if teller.happens(0.7) else teller.amount(currency)
                data["completion"] = teller.worn(
                    {
                        "completed_at": teller.near(at),
                        "settled": teller.money(settled, self._other_currency(currency, 0.04)),
                        "provider_fee": teller.money(teller.amount(currency), self._other_currency(currency, 0.2)),
                    },
                    "completed_at",
                )
            if step == "failed":
                category = rng.choice(("invalid_details", "returned_by_bank", "a_new_kind"))
                failure = {"failed_at": teller.near(at), "category": category, "is_retryable": True}
                data["failure"] = teller.worn(failure, "failed_at", "category")
            teller.post(f"payout.{step}", at, data)

    def _allocations(self, debit: Decimal, currency: str) -> list[Json]:
        """Of one to three things that other payouts may settle too; they mostly make up the *debit*."""
        count = self.rng.choice((0, 1, 1, 2, 3))
        rest = debit if self.teller.happens(0.7) else self.teller.amount(currency)
        allocations = []
        for left in range(count, 0, -1):
            share = rest if left == 1 else self.teller.amount(currency)
            rest -= share
            kind, number = self.rng.choice(
                (
                    ("commission_id", f"cm_{self.rng.randint(1, self.commission_count + 1)}"),
                    ("adjustment_id", f"adj_{self.rng.randint(1, self.adjustment_count + 1)}"),
                )
            )
            whole = {kind: number, "amount": self.teller.money(share, self._other_currency(currency, 0.04))}
            allocations.append(self.teller.worn(whole) if self.teller.happens(0.1) else whole)
        return allocations

    def _fees(self, *currencies: str) -> list[Json]:
        money = [self.teller.money(self.teller.amount(currency), currency) for currency in currencies]
        return [{"kind": "bank", "amount": each, "borne_by": "operator"} for each in money]
