"""The played programme: the same from the same seed, of the size that was asked for, and of many stories."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from models.event_types import EVENT_TYPES
from simulator.back_office import BackOffice
from simulator.flavour import Flavour
from simulator.journal import Event
from simulator.programme import Programme, ProgrammeSize, play_programme

UNTIL = datetime(2026, 11, 15, 12, tzinfo=UTC)
SMALL = ProgrammeSize(events=3000, partners=12)
ENDS = [
    UNTIL,
    datetime(2026, 3, 1, tzinfo=UTC),
    datetime(2026, 11, 5, 8, 3, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, tzinfo=UTC),
]


def views(events: Iterable[Event]) -> list[Any]:
    """The events as plain JSON, so that a test may reach into them."""
    return [event.view for event in events]


@pytest.fixture(scope="module", params=Flavour)
def flavoured(request: pytest.FixtureRequest) -> list[Any]:
    """A small programme of every flavour."""
    return views(play_programme(1, SMALL, UNTIL, request.param))


def of_type(events: list[Any], event_type: str) -> list[Any]:
    return [event for event in events if event["type"] == event_type]


def test_the_same_seed_plays_the_same_programme_byte_for_byte() -> None:
    """Ids, times and bodies depend on flavour, seed, size and end alone, not on the process that plays them."""
    script = f"""
import datetime, hashlib
from simulator.flavour import Flavour
from simulator.programme import ProgrammeSize, play_programme
until = datetime.datetime.fromisoformat("{UNTIL.isoformat()}")
for flavour in Flavour:
    events = play_programme(1, ProgrammeSize({SMALL.events}, {SMALL.partners}), until, flavour)
    print(hashlib.sha256(b"".join(event.body for event in events)).hexdigest())
"""
    told = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
        text=True,
    )
    here = [
        hashlib.sha256(b"".join(event.body for event in play_programme(1, SMALL, UNTIL, flavour))).hexdigest()
        for flavour in Flavour
    ]
    assert told.stdout.split() == here
    assert len(set(here)) == len(Flavour)


def test_the_files_beside_it_change_no_event(tmp_path: Path) -> None:
    """A programme is the same whether or not its operator's side is written, and whatever its months are."""
    with BackOffice(tmp_path, "acme", "EUR") as office:
        written = Programme(1, SMALL, UNTIL, zone=ZoneInfo("Asia/Tokyo"), office=office)
        bodies = [event.body for event in written.events()]
    assert bodies == [event.body for event in play_programme(1, SMALL, UNTIL)]


@pytest.mark.parametrize(
    ("seed", "size", "until", "flavour"),
    [
        (2, SMALL, UNTIL, Flavour.igaming),
        (1, ProgrammeSize(events=3001, partners=12), UNTIL, Flavour.igaming),
        (1, SMALL, UNTIL + timedelta(seconds=1), Flavour.igaming),
        (1, SMALL, UNTIL, Flavour.saas),
    ],
)
def test_another_programme_shares_no_event_id(
    seed: int, size: ProgrammeSize, until: datetime, flavour: Flavour
) -> None:
    """Two programmes may be sent to the same receiver without a conflict between ids."""
    first = {event.event_id for event in play_programme(1, SMALL, UNTIL)}
    second = {event.event_id for event in play_programme(seed, size, until, flavour)}
    assert not first & second


def test_the_end_may_be_told_in_any_timezone() -> None:
    """The same moment in another timezone is the same programme."""
    elsewhere = UNTIL.astimezone(timezone(timedelta(hours=9)))
    assert list(play_programme(1, SMALL, elsewhere)) == list(play_programme(1, SMALL, UNTIL))


def test_an_end_without_a_timezone_is_refused() -> None:
    """A naive moment would mean something else on another machine."""
    with pytest.raises(ValueError, match="timezone"):
        next(play_programme(1, SMALL, datetime(2026, 11, 15)))


@pytest.mark.parametrize(("events", "partners"), [(0, 8), (2000, 0)])
def test_a_programme_of_nothing_is_refused(events: int, partners: int) -> None:
    """A size without partners or events is a slip, and is said to be one."""
    with pytest.raises(ValueError, match="at least one"):
        ProgrammeSize(events, partners)


@pytest.mark.parametrize("events", [1, 2, 59, 600, 1400])
@pytest.mark.parametrize("flavour", Flavour)
def test_a_programme_smaller_than_its_stories_ends_before_they_do(events: int, flavour: Flavour) -> None:
    """As many events as asked for, exactly, and its truth is of those alone."""
    programme = Programme(1, ProgrammeSize(events, 12), UNTIL, flavour)
    told = views(programme.events())
    assert len(told) == events
    live = [event for event in told if event["livemode"]]
    assert programme.truth.event_types == Counter(event["type"] for event in live)
    assert programme.truth.events == events
    sandbox = {event["data"]["partner"]["id"] for event in of_type(live, "partner.registered") if is_test(event)}
    found = {
        event["data"]["conversion"]["id"]: f"{event['data']['partner']['id']}, {event['data']['conversion']['status']}"
        for event in live
        if event["type"].startswith("conversion.") and event["data"]["partner"]["id"] not in sandbox
    }
    assert programme.truth.counts["partner_conversions"] == Counter(found.values())


def is_test(event: Any) -> bool:
    return bool(event["data"]["partner"]["is_test"])


def test_events_come_in_order_and_before_the_end() -> None:
    """Times only grow, ids grow with them, nothing happens at the end or after it, and it begins with a month."""
    for end in ENDS:
        events = list(play_programme(1, SMALL, end))
        assert [event.occurred_at for event in events] == sorted(event.occurred_at for event in events)
        assert [event.event_id for event in events] == sorted({event.event_id for event in events})
        assert end - timedelta(days=123) < events[0].occurred_at < end - timedelta(days=88)
        assert events[0].occurred_at.day == 1
        assert events[-1].occurred_at < end


def test_a_programme_has_its_size_every_event_type_and_half_clicks(flavoured: list[Any]) -> None:
    """As many events as asked for, exactly; every type of the contract occurs; about half are clicks."""
    counts = Counter(event["type"] for event in flavoured)
    assert len(flavoured) == SMALL.events
    assert set(counts) == set(EVENT_TYPES)
    assert 0.4 < counts["click.tracked"] / len(flavoured) < 0.6


@pytest.mark.parametrize("flavour", Flavour)
def test_a_programme_ten_times_as_large_is_as_even(flavour: Flavour) -> None:
    """No day but the farm's has far more events than the days around it, the last one included."""
    days = Counter(event.occurred_at.date() for event in play_programme(1, ProgrammeSize(20000, 24), UNTIL, flavour))
    assert days.total() == 20000
    busiest = sorted(days.values())[-3:]
    assert busiest[0] < 2.5 * days.total() / len(days)
    assert days[UNTIL.date()] < 2.5 * days.total() / len(days)


def peak_of(events: int) -> int:
    """Megabytes that a process takes to play so many events, and forget them."""
    script = f"""
import datetime, resource
from simulator.programme import ProgrammeSize, play_programme
until = datetime.datetime.fromisoformat("{UNTIL.isoformat()}")
assert sum(1 for _ in play_programme(1, ProgrammeSize({events}, 24), until)) == {events}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    root = Path(__file__).parent.parent
    return int(subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, check=True).stdout)


def test_memory_does_not_grow_with_the_number_of_events() -> None:
    """Ten times the events, 130 MB of them, in little more than what a few thousand take that wait in memory."""
    assert peak_of(100_000) < peak_of(10_000) + 30


def test_every_honest_partner_earns_and_most_are_paid(flavoured: list[Any]) -> None:
    """Nobody is without an approved commission, and only who has a bad month or goes early may be without a payout."""
    everybody = {event["data"]["partner"]["id"] for event in of_type(flavoured, "partner.registered")}
    assert len(everybody) == SMALL.partners
    for event_type in ("click.tracked", "commission.approved"):
        assert {event["data"]["partner"]["id"] for event in of_type(flavoured, event_type)} == everybody
    paid = {event["data"]["partner"]["id"] for event in of_type(flavoured, "payout.completed")}
    assert len(paid) >= SMALL.partners - 3
    assert len({event["data"]["payout"]["debit"]["currency"] for event in of_type(flavoured, "payout.completed")}) >= 3


MODELS = {
    Flavour.igaming: {"cpa", "hybrid", "revshare", "override", "cpl"},
    Flavour.forex: {"cpa", "hybrid", "lot_rebate", "spread_share", "override", "cpl"},
    Flavour.prop: {"cpa", "challenge_fee_share", "funded_bonus", "revshare", "override", "cpl"},
    Flavour.saas: {"cpa", "revshare", "hybrid", "cpl", "override"},
}


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_flavour_pays_by_its_models(seed: int, flavour: Flavour) -> None:
    """Commissions are of the models that such a programme has, hybrid ones in both parts, overrides on two levels."""
    commissions = [
        event["data"]["commission"]
        for event in of_type(
            views(play_programme(seed, ProgrammeSize(6000, 12), UNTIL, flavour)), "commission.calculated"
        )
    ]
    assert {each["model"] for each in commissions} == MODELS[flavour]
    parts = {each["component"] for each in commissions if each["model"] == "hybrid"}
    assert len(parts) == (0 if flavour is Flavour.prop else 2)
    assert {each["sub_affiliate"]["level"] for each in commissions if each["sub_affiliate"]} == {1, 2}
    assert any(Decimal(each["amount"]["amount"]) < 0 for each in commissions)


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize(("seed", "end"), [(1, ENDS[1]), (2, ENDS[2]), (3, ENDS[3])], ids=str)
def test_the_stories_worth_showing_are_told_whatever_the_seed(seed: int, end: datetime, flavour: Flavour) -> None:
    """A clawback after payout, a retried failure, a return, an open failure, tiers, a merger, suspensions, an end."""
    events = views(play_programme(seed, SMALL, end, flavour))
    failures = of_type(events, "payout.failed")
    completed = {
        event["data"]["payout"]["id"]: event["data"]["payout"] for event in of_type(events, "payout.completed")
    }
    retried = {payout["retry_of_payout_id"]: payout for payout in completed.values()}
    adjustments = [event["data"]["adjustment"] for event in of_type(events, "commission.adjusted")]

    first_failed = next(each["data"] for each in failures if each["data"]["failure"]["category"] == "invalid_details")
    assert retried[first_failed["payout"]["id"]]["debit"] == first_failed["payout"]["debit"]
    assert retried[first_failed["payout"]["id"]]["attempt"] == 2
    returned = next(each["data"] for each in failures if each["data"]["failure"]["is_return_after_completion"])
    assert returned["failure"]["returned"] == completed[returned["payout"]["id"]]["amount"]
    assert any(not each["data"]["failure"]["is_retryable"] for each in failures)
    assert any(each["type"] == "clawback" and each["is_after_payout"] for each in adjustments)
    assert any(each["type"] == "chargeback" for each in adjustments)
    moved = [Decimal(each["amount_delta"]["amount"]) for each in adjustments if each["type"] == "partner_transfer"]
    assert len(moved) == 2
    assert sum(moved) == 0
    assert {"up", "down"} == {
        each["data"]["tier_change"]["direction"] for each in of_type(events, "commission.tier_changed")
    }
    assert len(of_type(events, "partner.suspended")) == len(of_type(events, "partner.terminated")) == 2
    assert any(each["type"] == "retro_tier" for each in adjustments)
    assert any(each["data"]["tier_change"]["is_retroactive"] for each in of_type(events, "commission.tier_changed"))
    assert any(change["field"] == "partner.id" for change in changes_of(events))
    assert len([event for event in of_type(events, "partner.registered") if is_test(event)]) == 1
    assert {event["type"] for event in events if not event["livemode"]} >= {"click.tracked", "commission.calculated"}


def changes_of(events: list[Any]) -> list[Any]:
    return [change for event in of_type(events, "conversion.updated") for change in event["data"]["changes"]]
