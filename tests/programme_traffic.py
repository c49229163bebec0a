"""Weeks of dense traffic, which is what fraud signals are made of: random programmes have too little of it in a day."""

import random
from datetime import datetime, timedelta
from decimal import Decimal

from tests.programme_events import Json, Storyteller

_BEGIN = datetime(2026, 2, 20)
_DAYS = 75
_REASONS = (("chargeback", "commercial"), ("duplicate_device", "fraud"), ("self_referral", "fraud"))
_TRACKED: Json = {"campaign_id": "cmp_1", "traffic_source": "seo", "sub_ids": {"sub1": "top"}}


def dense_traffic(seed: int, *, sources: tuple[str, ...] = ("acme",), clicks_on_the_last_day: int = 230) -> list[Json]:
    """
    Full events of four partners over 75 days around the change to summer time, in the order they happened.

    One of them runs a farm of a few devices towards the end; another earns chargebacks; two share a bank account. On
    the last day three have clicks enough to compare conversion rates.
    """
    posts: list[Json] = []
    for source in sources:
        story = _Traffic(Storyteller(random.Random(f"{seed}/{source}"), source, awkward=0.1))
        for day in range(_DAYS):
            story.tell_day(day)
        story.tell_last_day(clicks_on_the_last_day)
        story.tell_payouts()
        posts += story.teller.posts
    return posts


class _Traffic:
    def __init__(self, teller: Storyteller) -> None:
        self.teller = teller
        self.rng = teller.rng
        self.conversions = 0

    def _at(self, day: int) -> datetime:
        return _BEGIN + timedelta(days=day, minutes=15 * self.rng.randint(0, 95))

    def tell_day(self, day: int) -> None:
        """A few conversions of each partner; the farm of the first begins three weeks before the end."""
        for number in range(4):
            is_farm = number == 0 and day > _DAYS - 21
            for _ in range(12 if is_farm and day % 9 == 0 else self.rng.randint(0, 2)):
                self._tell_conversion(f"ptn_{number}", self._at(day), is_farm=is_farm)

    def _tell_conversion(self, partner_id: str, at: datetime, *, is_farm: bool) -> None:
        teller, rng = self.teller, self.rng
        self.conversions += 1
        conversion_id, device = f"cnv_{self.conversions}", rng.randint(1, 3) if is_farm else self.conversions
        tracking = {
            **_TRACKED,
            "click_id": None if teller.happens(0.2) else f"clk_{self.conversions}",
            "coupon_code": "SAVE10" if teller.happens(0.1) else None,
            "is_view_through": teller.happens(0.1),
        }
        customer_id = partner_id if teller.happens(0.02) else f"ply_{rng.randint(1, 400)}"
        data: Json = {
            "conversion": {
                "id": conversion_id,
                "type": rng.choice(("registration", "first_deposit", "first_deposit")),
                "vertical": rng.choice(("casino", "sports")),
                "external_id": f"order_{rng.randint(1, 2000)}",
                "occurred_at": teller.stamp(at),
                "clicked_at": teller.stamp(at - timedelta(seconds=rng.choice((3, 14, 15, 600, 86_400, 90_000)))),
                "value": teller.money(
                    Decimal(rng.choice(("20", "20", "25", "120"))), rng.choice(("EUR", "EUR", "USD"))
                ),
                "is_first": rng.choice((True, True, None, False)),
            },
            "partner": {"id": partner_id},
            "customer": {"id": None if teller.happens(0.05) else customer_id},
            "tracking": tracking,
            "geo": {"country": rng.choice(("DE", "MT")), "source": "ip", "declared_country": rng.choice(("DE", None))},
            "device": {"fingerprint_hash": f"fp_{device}", "ip_hash": f"ip_{device % 2 if is_farm else device}"},
        }
        teller.post("conversion.created", at, data)
        verdict_at = at + timedelta(hours=rng.randint(1, 60))
        if teller.happens(0.75 if is_farm else 0.15):
            reason = rng.choice(
                (("chargeback", "commercial"), ("duplicate_device", "fraud"), ("self_referral", "fraud"))
            )
            rejection = {"reason_code": reason[0], "category": reason[1], "rejected_at": teller.stamp(verdict_at)}
            teller.post("conversion.rejected", verdict_at, {**data, "rejection": rejection})
        elif teller.happens(0.8):
            qualification = {"qualified_at": teller.stamp(verdict_at)}
            teller.post("conversion.qualified", verdict_at, {**data, "qualification": qualification})
            self._tell_commission(conversion_id, partner_id, verdict_at)

    def _tell_commission(self, conversion_id: str, partner_id: str, at: datetime) -> None:
        commission = {
            "id": f"cm_{conversion_id}",
            "conversion_id": conversion_id,
            "model": "cpa",
            "amount": {"amount": "30.00", "currency": "EUR"},
        }
        data: Json = {"commission": commission, "partner": {"id": partner_id}}
        self.teller.post("commission.calculated", at, data)
        if partner_id == "ptn_1" and self.teller.happens(0.2):
            adjustment = {
                "id": f"adj_{conversion_id}",
                "type": "chargeback",
                "amount_delta": {"amount": "-30.00", "currency": "EUR"},
            }
            self.teller.post("commission.adjusted", at + timedelta(days=3), {**data, "adjustment": adjustment})

    def tell_last_day(self, clicks: int) -> None:
        """Each partner's clicks, by the hundreds; the farm's convert far better than the others'."""
        for number in range(4):
            for place in range(clicks if number < 3 else clicks // 10):
                at = _BEGIN + timedelta(days=_DAYS, hours=12, seconds=place)
                click = {
                    "id": f"clk_{number}_{place}",
                    "occurred_at": self.teller.stamp(at),
                    "validity": "valid",
                    "is_unique": True,
                }
                data: Json = {"click": click, "partner": {"id": f"ptn_{number}"}, "tracking": _TRACKED}
                self.teller.post("click.tracked", at, data)
            for _ in range(25 if number == 0 else number + 1):
                self._tell_conversion(f"ptn_{number}", _BEGIN + timedelta(days=_DAYS, hours=13), is_farm=False)

    def tell_payouts(self) -> None:
        """Two partners are paid to one account, the third to its own."""
        for number, (partner, day, destination) in enumerate(
            ((0, 20, "iban_1"), (1, 30, "iban_1"), (2, 30, "iban_2"), (0, 40, "iban_1"), (2, 50, "iban_3"))
        ):
            at = self._at(day)
            money = {"amount": "50.00", "currency": "EUR"}
            payout = {"id": f"po_{number}", "amount": money, "debit": money, "destination_hash": destination}
            data: Json = {"payout": payout, "partner": {"id": f"ptn_{partner}"}}
            self.teller.post("payout.scheduled", at, data)
            done = {**data, "completion": {"completed_at": self.teller.stamp(at + timedelta(days=2))}}
            self.teller.post("payout.completed", at + timedelta(days=2), done)
