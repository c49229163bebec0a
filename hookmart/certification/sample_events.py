"""One genuine event of every type, told of a partner that does not exist, and marked so that no mart counts them."""

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

_STORY_SECONDS = 60
"""Before the run, when the story begins; an event a second."""

EARNED, ADJUSTED, PAID = "12.34", "-2.34", "10.00"
"""What the partner's commission comes to, in EUR."""


def _money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


@dataclass(slots=True)
class SampleEvents:
    """
    The events of one run.

    Attributes:
        run: Part of every id.
        now: Timezone-aware.
        is_live: False marks them as test events.
    """

    run: str
    now: datetime
    is_live: bool = False
    _numbers: Any = field(default_factory=lambda: itertools.count(1), repr=False)

    @property
    def prefix(self) -> str:
        """What every event id begins with."""
        return f"certify-{self.run}-"

    @property
    def partner_id(self) -> str:
        """The partner of all events."""
        return f"certify-{self.run}"

    def story(self) -> list[dict[str, Any]]:
        """Return one event of each of the 17 types, in the order in which they would happen."""
        return [self._event(name, data) for name, data in self._data().items()]

    def click(self, **changes: Any) -> dict[str, Any]:
        """Return a click of its own, its envelope with *changes*; None takes a field out."""
        number = next(self._numbers)
        return self._made("click.tracked", {"click": self._click(f"{self.prefix}{number}")}, number, changes)

    def _event(self, event_type: str, data: dict[str, Any]) -> dict[str, Any]:
        return self._made(event_type, data, next(self._numbers), {})

    def _made(self, event_type: str, data: dict[str, Any], number: int, changes: dict[str, Any]) -> dict[str, Any]:
        event = {
            "id": f"{self.prefix}{number}",
            "type": event_type,
            "schema_version": "1.0",
            "timestamp": self._time(number),
            "livemode": self.is_live,
            "data": {"partner": {"id": self.partner_id, "name": "hookmart certify", "type": "affiliate"}, **data},
            **changes,
        }
        return {name: value for name, value in event.items() if value is not None}

    def _time(self, number: int) -> str:
        return (self.now + timedelta(seconds=min(number - _STORY_SECONDS, 0))).isoformat()

    def _click(self, click_id: str) -> dict[str, Any]:
        return {"id": click_id, "occurred_at": self._time(1), "validity": "valid", "is_unique": True, "is_bot": False}

    def _data(self) -> dict[str, dict[str, Any]]:
        """Return what each type says."""
        at, actor, own = self._time(1), {"type": "system", "id": "certify"}, self.partner_id
        day = self.now.date().isoformat()
        conversion = {
            "id": f"{own}-conversion", "type": "first_deposit", "occurred_at": at, "value": _money("100.00"),
            "status": "pending",
        }  # fmt: skip
        other = {**conversion, "id": f"{own}-rejected", "status": "rejected"}
        commission = {
            "id": f"{own}-commission", "conversion_id": conversion["id"], "model": "cpa", "amount": _money(EARNED),
            "status": "calculated", "calculated_at": at,
        }  # fmt: skip
        payout = {"id": f"{own}-payout", "status": "scheduled", "amount": _money(PAID), "debit": _money(PAID)}
        back = {**payout, "id": f"{own}-returned", "status": "failed"}
        change = {"actor": actor, "effective_at": at}
        return {
            "partner.registered": {"change": {**change, "status": "pending"}},
            "partner.approved": {"change": {**change, "previous_status": "pending", "status": "active"}},
            "click.tracked": {"click": self._click(f"{own}-click")},
            "conversion.created": {"conversion": conversion},
            "conversion.updated": {
                "conversion": conversion, "changes": [], "update": {"reason_code": "certify", "actor": actor},
            },
            "conversion.qualified": {
                "conversion": {**conversion, "status": "qualified"}, "qualification": {"qualified_at": at},
            },
            "conversion.rejected": {
                "conversion": other,
                "rejection": {
                    "reason_code": "test_conversion", "category": "technical", "decided_by": "rule", "rejected_at": at,
                },
            },
            "commission.calculated": {"commission": commission},
            "commission.approved": {
                "commission": {**commission, "status": "approved"},
                "approval": {"approved_amount": _money(EARNED), "approved_at": at, "actor": actor},
            },
            "commission.adjusted": {
                "commission": {**commission, "status": "approved", "amount": _money(PAID)},
                "adjustment": {
                    "id": f"{own}-adjustment", "type": "correction", "amount_delta": _money(ADJUSTED),
                    "amount_before": _money(EARNED), "amount_after": _money(PAID), "actor": actor,
                },
            },
            "commission.tier_changed": {
                "tier_change": {
                    "id": f"{own}-tier", "new_tier": {"id": "certify", "name": "certify", "rank": 1},
                    "effective_from": day, "direction": "up", "actor": actor,
                },
            },
            "payout.scheduled": {"payout": payout},
            "payout.processing": {
                "payout": {**payout, "status": "processing"}, "processing": {"submitted_at": at},
            },
            "payout.completed": {
                "payout": {**payout, "status": "completed"}, "completion": {"completed_at": at},
            },
            "payout.failed": {
                "payout": back, "failure": {"failed_at": at, "category": "other", "is_retryable": False},
            },
            "partner.suspended": {
                "change": {**change, "previous_status": "active", "status": "suspended", "reason_code": "other"},
            },
            "partner.terminated": {
                "change": {**change, "previous_status": "suspended", "status": "terminated", "reason_code": "other"},
            },
        }  # fmt: skip
