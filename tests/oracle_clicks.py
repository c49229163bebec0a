"""The oracle's clicks: each as its newest event shows it, on the day of its first."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from tests.oracle_events import Event, Row, grouped, of_kind

CLICK_COLUMNS = (
    "source_id",
    "click_id",
    "source_event_id",
    "partner_id",
    "campaign_id",
    "validity",
    "is_unique",
    "is_bot",
    "cost_amount",
    "cost_currency",
    "traffic_source",
    "sub1",
    "geo_country",
    "device_fingerprint_hash",
    "click_date",
    "occurred_at",
    "clicked_at",
)


def local_day(moment: datetime, timezone: str) -> date:
    """The day of a naive UTC *moment* in *timezone*."""
    return moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(timezone)).date()


def click_rows(events: list[Event], timezone: str) -> list[Row]:
    """`clicks`."""
    rows = []
    clicks = of_kind(events, "click.tracked")
    for (source_id, click_id), group in grouped(
        clicks, lambda event: (event.source_id, str(event.at("click.id")))
    ).items():
        last = group[-1]
        cost = last.money("click.cost")
        values = (
            source_id,
            click_id,
            last.event_id,
            last.partner_id,
            last.at("tracking.campaign_id"),
            last.at("click.validity"),
            last.at("click.is_unique"),
            last.at("click.is_bot"),
            None if cost is None else cost.amount,
            None if cost is None else cost.currency,
            last.at("tracking.traffic_source"),
            last.at("tracking.sub_ids.sub1"),
            last.at("geo.country"),
            last.at("device.fingerprint_hash"),
            local_day(group[0].occurred_at, timezone),
            group[0].occurred_at,
            last.moment("click.occurred_at"),
        )
        rows.append(dict(zip(CLICK_COLUMNS, values, strict=True)))
    return rows
