"""A conversion of the played programme: it is created, then qualified, rejected or corrected, and says so each time."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from simulator.agenda import Note
from simulator.cast import Member
from simulator.journal import Journal
from simulator.visits import Visit
from simulator.wire import JsonObject, actor, instant, money


@dataclass(frozen=True, slots=True)
class Customer:
    customer_id: str
    country: str
    registered_at: datetime

    def view(self) -> JsonObject:
        return {
            "id": self.customer_id,
            "external_id": None,
            "country": self.country,
            "registered_at": instant(self.registered_at),
            "is_new": True,
            "status": "active",
        }


@dataclass(frozen=True, slots=True)
class Rejection:
    """
    Why a conversion does not count.

    Attributes:
        fraud_score: Decimal string from 0 to 1, from the fraud engine only.
    """

    reason_code: str
    category: str
    decided_by: str
    detail: str
    fraud_score: str | None = None
    signals: tuple[str, ...] = ()
    is_final: bool = True


@dataclass(slots=True)
class Conversion:
    """
    One conversion at its present state. Its methods must be called in the order of time.

    Attributes:
        value: In *currency*; none for a registration.
        details: Of the qualifying event, beside its kind and the deposit.
        has_deposit: Whether the value is a deposit, so that the qualifying event repeats it.
        order_id: In the shop's own books; the same on two conversions of one order. None for one of its own.
        is_live: False for one that somebody tries out.
    """

    conversion_id: str
    conversion_type: str
    member: Member
    customer: Customer
    visit: Visit
    occurred_at: datetime
    parent_id: str | None
    is_first: bool
    kind: str
    value: Decimal | None
    currency: str
    details: JsonObject
    has_deposit: bool = False
    order_id: str | None = None
    is_live: bool = True
    status: str = "pending"
    version: int = 0
    _told: tuple[Note, ...] = ()

    def create(self, journal: Journal) -> None:
        self._write(journal, self.occurred_at + timedelta(seconds=1), "conversion.created", {})

    def twin(self, journal: Journal, at: datetime) -> "Conversion":
        """The same order once more, under an id of its own, as when a shop reports it twice; nothing is written."""
        return replace(
            self,
            conversion_id=journal.name("cnv"),
            order_id=self._order_id,
            occurred_at=at,
            status="pending",
            version=0,
            _told=(),
        )

    def create_twin(self, journal: Journal) -> None:
        """Create it as the twin it is, which does not count as a conversion of its own."""
        notes = (Note("duplicate_conversions", "conversions"), Note("exceptions", "duplicate_business_key"))
        self._write(journal, self.occurred_at + timedelta(seconds=1), "conversion.created", {}, notes)

    def reattribute(self, journal: Journal, at: datetime, heir: Member) -> None:
        """It turns out to be owed to *heir*."""
        changes: list[JsonObject] = [
            {"field": "partner.id", "old": self.member.partner_id, "new": heir.partner_id},
        ]
        self.member = heir
        update: JsonObject = {
            "reason_code": "credited_other_partner",
            "reason_detail": "an earlier click of this partner was found",
            "actor": actor("user", heir.manager_id),
        }
        self._write(journal, at, "conversion.updated", {"changes": changes, "update": update})

    def qualify(self, journal: Journal, at: datetime, preview: JsonObject | None) -> None:
        """Qualify at *at*; *preview* is what `commission_preview` says, without booking anything."""
        self.status = "qualified"
        deal = self.member.profile.deal
        criteria: list[JsonObject] = [{"name": self.kind, "required": "1", "actual": "1", "unit": "count"}]
        if self.value is not None:
            criteria.append({"name": "value", "required": "0", "actual": str(self.value), "unit": self.currency})
        qualification: JsonObject = {
            "rule_id": deal.rule_id if self.value is not None else "email_confirmed",
            "rule_version": deal.plan_version,
            "qualified_at": instant(at),
            "window_days": deal.window_days,
            "criteria": criteria,
        }
        extra: JsonObject = {"qualification": qualification, "commission_preview": preview}
        self._write(journal, at, "conversion.qualified", extra)

    def reject(self, journal: Journal, at: datetime, why: Rejection) -> None:
        previous, self.status = self.status, "rejected"
        rejection: JsonObject = {
            "reason_code": why.reason_code,
            "category": why.category,
            "reason_detail": why.detail,
            "platform_reason": why.reason_code.upper(),
            "decided_by": why.decided_by,
            "rule_id": f"rule_{why.reason_code}" if why.decided_by in {"rule", "fraud_engine"} else None,
            "fraud_score": why.fraud_score,
            "signals": list(why.signals),
            "previous_status": previous,
            "rejected_at": instant(at),
            "is_final": why.is_final,
        }
        notes = (Note("rejections", f"{why.category}, {why.reason_code}"),)
        self._write(journal, at, "conversion.rejected", {"rejection": rejection}, notes)

    def correct_value(self, journal: Journal, at: datetime, new_value: Decimal) -> None:
        """The value turns out to be *new_value*."""
        changes: list[JsonObject] = [
            {"field": "conversion.value.amount", "old": str(self.value), "new": str(new_value)},
        ]
        self.value = new_value
        update: JsonObject = {
            "reason_code": "amount_corrected",
            "reason_detail": "settled amount differs from the authorised one",
            "actor": actor("system", "psp-recon"),
        }
        self._write(journal, at, "conversion.updated", {"changes": changes, "update": update})

    def _write(
        self, journal: Journal, at: datetime, event_type: str, extra: JsonObject, notes: tuple[Note, ...] = ()
    ) -> None:
        self.version += 1
        data: JsonObject = {
            "conversion": self._view(),
            "partner": self.member.snapshot(at),
            "customer": self.customer.view(),
            **self.visit.context(),
            "qualifying_event": self._qualifying_event(),
            **extra,
        }
        now: tuple[Note, ...] = (
            Note("conversions", self.status),
            Note("partner_conversions", f"{self.member.partner_id}, {self.status}"),
        )
        before = tuple(note._replace(change=-1) for note in self._told)
        if self.member.partner_id in journal.test_partners:
            now = before = notes = ()
        if journal.write(at, event_type, data, (), (*before, *now, *notes), is_live=self.is_live):
            self._told = now

    @property
    def _order_id(self) -> str:
        return self.order_id or f"ext_{self.conversion_id.removeprefix('cnv_')}"

    def _view(self) -> JsonObject:
        return {
            "id": self.conversion_id,
            "type": self.conversion_type,
            "vertical": self.member.profile.deal.vertical,
            "external_id": self._order_id,
            "status": self.status,
            "occurred_at": instant(self.occurred_at),
            # What comes later is no sooner or later for how the click was made.
            "clicked_at": instant(self.visit.at) if self.visit.click_id and self.parent_id is None else None,
            "parent_conversion_id": self.parent_id,
            "is_first": self.is_first,
            "value": None if self.value is None else money(self.value, self.currency),
            "version": self.version,
        }

    def _qualifying_event(self) -> JsonObject:
        deposit = money(self.value, self.currency) if self.has_deposit and self.value is not None else None
        return {"kind": self.kind, "deposit": deposit, **self.details}
