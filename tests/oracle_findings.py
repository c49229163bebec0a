"""What the oracle finds wrong with events, gathered as rows of `data_exceptions`."""

from dataclasses import dataclass, field

from tests.oracle_events import Event, Money, Row

EXCEPTION_COLUMNS = (
    "source_id",
    "exception_id",
    "rule",
    "entity_type",
    "entity_id",
    "partner_id",
    "source_event_id",
    "currency",
    "amount_at_risk",
    "is_open",
    "occurred_at",
)


@dataclass
class Findings:
    """Exceptions as they are found; the rows gather in `rows`."""

    rows: list[Row] = field(default_factory=list)

    def about(
        self,
        rule: str,
        event: Event,
        *,
        money: Money | str | None = "booked",
        is_open: bool = True,
        entity: tuple[str, str] | None = None,
        more: str = "",
    ) -> None:
        """One exception that *event* gives rise to; at risk is what it would book, unless *money* is given."""
        at_risk = _booked(event) if isinstance(money, str) else money
        kind, entity_id = entity or entity_of(event)
        self.add(
            event.source_id,
            rule,
            f"{event.event_id}{more}",
            (kind, entity_id),
            at_risk,
            is_open=is_open,
            event=event,
            partner_id=event.partner_id,
        )

    def add(
        self,
        source_id: str,
        rule: str,
        key: str,
        entity: tuple[str, str],
        money: Money | None = None,
        *,
        is_open: bool = True,
        event: Event | None = None,
        partner_id: str | None = None,
    ) -> None:
        """One exception of whatever kind."""
        values = (
            source_id,
            f"{rule}:{key}",
            rule,
            *entity,
            partner_id,
            None if event is None else event.event_id,
            None if money is None else money.currency,
            None if money is None else money.amount,
            is_open,
            None if event is None else event.occurred_at,
        )
        self.rows.append(dict(zip(EXCEPTION_COLUMNS, values, strict=True)))


def noun_of(event: Event) -> str:
    """What the event is of: click, conversion, commission, payout or partner."""
    return event.type.split(".")[0]


def entity_of(event: Event) -> tuple[str, str]:
    """Kind and id of what the event is about."""
    if event.type == "commission.tier_changed":
        return "tier_change", event.at("tier_change.id")
    if event.type == "commission.adjusted" and event.at("commission.id") is None:
        return "adjustment", event.at("adjustment.id")
    return noun_of(event), event.at(f"{noun_of(event)}.id")


def _booked(event: Event) -> Money | None:
    paths = {
        "commission.calculated": ("commission.amount",),
        "commission.adjusted": ("adjustment.amount_delta",),
        "commission.approved": ("approval.approved_amount",),
    }.get(event.type, ("payout.debit", "payout.amount") if event.type.startswith("payout.") else ())
    for path in paths:
        if (money := event.money(path)) is not None:
            return money
    return None
