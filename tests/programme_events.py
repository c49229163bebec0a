"""Full, valid events for random programmes: whole snapshots, less what the contract lets a platform leave out."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

EXPONENTS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3, "BTC": 8}

_REASONS = {
    "duplicate_ip": "fraud",
    "bot_traffic": "fraud",
    "stolen_payment": "fraud",
    "below_min_deposit": "quality",
    "refund": "commercial",
    "terms_violation": "compliance",
    "no_click": "technical",
    "other": "other",
}


class Storyteller:
    """
    Writes the events of one source.

    Every choice comes from *rng*, so that one seed tells one story. Times are naive UTC.
    """

    def __init__(self, rng: random.Random, source: str, *, awkward: float = 0.25) -> None:
        """*awkward* is the share of optional things left out, sent as null or in an unusual form."""
        self.rng = rng
        self.source = source
        self.awkward = awkward
        self.posts: list[Json] = []
        self._last_number = 0

    # ---------- the envelope

    def post(self, event_type: str, at: datetime, data: Json) -> None:
        """Add one event that happened at *at*."""
        self._last_number += 1
        posted: Json = {
            "source": self.source,
            "id": self.name("evt", self._last_number),
            "type": event_type,
            "schema_version": self.rng.choice(("1.0", "1.0", "1.0", "1.7")),
            "timestamp": self.stamp(at),
            "data": data,
        }
        if self.happens(0.02):
            if self.happens(0.5):
                posted["id"] = None
            else:
                del posted["id"]
            posted["emitted_at"] = f"{self._instant(at + timedelta(microseconds=self._last_number))}Z"
        if self.happens(0.04):
            posted["livemode"] = False
        elif self.happens(0.3):
            posted["livemode"] = self.rng.choice((True, None))
        if self.happens(0.1):
            posted["a_field_nobody_knows"] = {"ünïcode": ["✓", 1, None, True]}
        if self.happens(0.3):
            posted["source_id"] = f"{self.source}-platform"
        self.posts.append(posted)

    def name(self, prefix: str, number: int) -> str:
        """An id: mostly plain, at times the last one but for its case or its Unicode form, or hard to quote."""
        plain, last = f"{prefix}_{number}", f"{prefix}_{number - 1}"
        unusual = (last.upper(), f"{plain}é", f"{last}e\u0301", f"{plain}:'\"\\", f"{plain} 事件 🎲", f"{plain}%_;--")
        return self.rng.choice(unusual) if self.happens(0.2) else plain

    def stamp(self, at: datetime) -> str:
        """*at* in one of the many forms of RFC 3339; digits after the sixth are noise to be cut."""
        if self.happens(0.75):
            return f"{self._instant(at)}Z"
        if self.happens(0.4):
            return f"{self._instant(at)}{self.rng.choice(('999', '5', '50'))}{self.rng.choice('Zz')}"
        minutes = self.rng.choice((60, 120, -300, 330, 840, 0))
        return at.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes))).isoformat()

    @staticmethod
    def _instant(at: datetime) -> str:
        return at.isoformat(timespec="microseconds")

    # ---------- chance

    def happens(self, share: float) -> bool:
        """True in *share* of the cases."""
        return self.rng.random() < share

    def near(self, at: datetime) -> str:
        """A time inside `data`, which need not be the envelope's."""
        hours = self.rng.choice((0, 0, 0, -30, -1, 5))
        return self.stamp(at + timedelta(hours=hours))

    def worn(self, whole: Json, *required: str) -> Json:
        """*whole* with some fields absent or null, never a *required* one."""
        kept: Json = {}
        for field, value in whole.items():
            if field in required or not self.happens(self.awkward):
                kept[field] = value
            elif self.happens(0.5):
                kept[field] = None
        return kept

    def money(self, amount: Decimal, currency: str) -> Json:
        """Money as a platform may write it: with or without trailing zeros, at times in lower case."""
        text = f"{amount:f}"
        if "." in text and self.happens(0.2):
            text = text.rstrip("0").rstrip(".")
        return {
            "amount": "0" if text == "-0" else text,
            "currency": currency.lower() if self.happens(0.03) else currency,
        }

    def amount(self, currency: str, *, signed: bool = False) -> Decimal:
        """From a few values only, so that sums meet, cancel and come to nothing."""
        quantum = Decimal(1).scaleb(-EXPONENTS[currency])
        amount = Decimal(self.rng.choice(("0", "10", "50.25", "80", "120.5", "200", "300.125", "1999.99", "0.1234567")))
        sign = -1 if signed and self.happens(0.4) else 1
        return (sign * amount).quantize(quantum)

    # ---------- snapshots

    def partner(self, partner_id: str, parents: Mapping[str, str | None]) -> Json:
        """The snapshot that every event carries."""
        whole = {
            "id": partner_id,
            "name": f"Partner {partner_id}",
            "external_id": f"AFF-{partner_id}",
            "type": self.rng.choice(("affiliate", "ib", "a_new_kind")),
            "status": self.rng.choice(("pending", "active", "suspended")),
            "manager_id": self.rng.choice(("mgr_1", "mgr_2")),
            "parent_id": parents.get(partner_id),
            "country": self.rng.choice(("MT", "DE", "JP")),
        }
        return self.worn(whole, "id")

    def full_partner(self, partner_id: str, parents: Mapping[str, str | None], *, is_test: bool | None) -> Json:
        """The snapshot of `partner.*` events."""
        snapshot = self.partner(partner_id, parents)
        tier = self.rng.randint(1, 3)
        snapshot |= self.worn(
            {
                "plan_id": "plan_1",
                "tier": {"id": f"tier_{tier}", "name": f"Tier {tier}", "rank": tier},
                "payout_currency": "EUR",
                "min_payout": {"amount": "100.00", "currency": "EUR"},
                "version": self.rng.randint(1, 9),
            }
        )
        if is_test is not None or self.happens(0.5):
            snapshot["is_test"] = is_test
        return snapshot

    def touchpoint(self) -> Json:
        """`tracking`, `geo` and `device`: each whole, worn, empty, null or absent."""
        tracking = {
            "click_id": f"clk_{self.rng.randint(1, 40)}",
            "campaign_id": f"cmp_{self.rng.randint(1, 3)}",
            "traffic_source": self.rng.choice(("seo", "ppc")),
            "sub_ids": self.worn({"sub1": f"sub-{self.rng.randint(1, 3)}", "sub2": "ü"}),
            "is_view_through": False,
        }
        geo = {"country": self.rng.choice(("DE", "MT")), "region": "DE-BE", "source": "ip", "declared_country": "DE"}
        device = {"type": "mobile", "os": "iOS", "fingerprint_hash": f"fp_{self.rng.randint(1, 9)}"}
        found = {"tracking": self.worn(tracking), "geo": self.worn(geo), "device": self.worn(device)}
        for field, value in found.items():
            if self.happens(self.awkward / 2):
                found[field] = self.rng.choice(({}, dict.fromkeys(value)))
        return self.worn(found)

    # ---------- what an event adds

    def qualification(self, at: datetime) -> Json:
        """What `conversion.qualified` adds."""
        criteria = [{"name": "min_deposit", "required": "100.00", "actual": "120.00", "unit": "EUR"}]
        whole = {"rule_id": "rule_1", "rule_version": "3", "qualified_at": self.near(at), "criteria": criteria}
        return self.worn(whole, "qualified_at")

    def rejection(self, at: datetime) -> Json:
        """What `conversion.rejected` adds."""
        reason_code = self.rng.choice(tuple(_REASONS))
        whole = {
            "reason_code": reason_code,
            "category": _REASONS[reason_code],
            "decided_by": self.rng.choice(("rule", "manual", "fraud_engine")),
            "fraud_score": self.rng.choice(("0", "0.93", "1")),
            "signals": ["short_ctc"],
            "previous_status": self.rng.choice(("pending", "qualified")),
            "rejected_at": self.near(at),
            "is_final": self.rng.choice((True, False)),
        }
        return self.worn(whole, "reason_code", "category", "rejected_at")

    def tier_change(self, number: int, at: datetime) -> Json:
        """What `commission.tier_changed` says."""
        whole = {
            "id": self.name("tch", number),
            "plan_id": "plan_1",
            "previous_tier": {"id": "tier_1", "name": "Bronze", "rank": 1},
            "new_tier": {
                "id": "tier_2",
                "name": "Silver",
                "rank": 2,
                "rate": {"type": "percent", "value": "35", "unit": "%"},
            },
            "effective_from": at.date().isoformat(),
            "is_retroactive": self.rng.choice((True, False)),
            "direction": "up",
        }
        return self.worn(whole, "id", "new_tier", "effective_from")
