"""The played programme: the same from the same seed, within the contract, and with books that close."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from models.event_types import EVENT_TYPES
from models.reading import read_event
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
PROGRAMMES = [
    *[(seed, SMALL, UNTIL, flavour) for seed in (1, 2) for flavour in Flavour],
    *[(1, SMALL, end, Flavour.igaming) for end in ENDS[1:]],
    (1, ProgrammeSize(events=60, partners=1), UNTIL, Flavour.saas),
    (2, ProgrammeSize(events=1, partners=3), UNTIL, Flavour.forex),
    (1, ProgrammeSize(events=4000, partners=30), UNTIL, Flavour.prop),
]


def views(events: Iterable[Event]) -> list[Any]:
    """The events as plain JSON, so that a test may reach into them."""
    return [event.view for event in events]


@pytest.fixture(scope="module", params=PROGRAMMES, ids=str)
def programme(request: pytest.FixtureRequest) -> list[Event]:
    return list(play_programme(*request.param))


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


def test_every_event_is_within_the_contract(programme: list[Event]) -> None:
    """What the played platform posts is what the receiver accepts, under the id and type it was given."""
    for event in programme:
        header = read_event(event.body)
        assert (header.event_id, header.event_type) == (event.event_id, event.event_type)
        assert header.occurred_at == event.occurred_at


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


def test_versions_count_up_without_a_gap_for_every_entity(programme: list[Event]) -> None:
    """No snapshot of an entity is missing, and versions are in the order of time; only a calculation may come twice."""
    versions: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event in views(programme):
        noun = event["type"].split(".")[0]
        entity = event["data"].get(noun)
        if entity and "version" in entity:
            seen = versions[noun, entity["id"]]
            is_repeated = event["type"] == "commission.calculated" and seen == [1] == [entity["version"]]
            if not is_repeated:
                seen.append(entity["version"])
    assert all(seen == list(range(1, len(seen) + 1)) for seen in versions.values())


def monies(node: object) -> Iterator[dict[str, str]]:
    if isinstance(node, dict):
        if set(node) == {"amount", "currency"}:
            yield node
        for child in node.values():
            yield from monies(child)
    elif isinstance(node, list):
        for child in node:
            yield from monies(child)


def test_money_is_written_in_the_decimals_of_its_currency(programme: list[Event]) -> None:
    """Cents for most, no decimals for yen, three for dinars, never a number, never a negative zero."""
    shapes = {"JPY": r"-?\d+", "KWD": r"-?\d+\.\d\d\d"}
    for event in views(programme):
        for money in monies(event["data"]):
            assert re.fullmatch(shapes.get(money["currency"], r"-?\d+\.\d\d"), money["amount"])
            assert not money["amount"].startswith("-0") or Decimal(money["amount"])


def test_what_an_event_refers_to_happened_before_it(programme: list[Event]) -> None:
    """Conversions follow their click and their parent, commissions follow the qualification they are owed for."""
    clicks: set[str] = set()
    created: set[str] = set()
    qualified: set[str] = set()
    active: set[str] = set()
    for event in views(programme):
        data = event["data"]
        if event["type"] == "partner.approved":
            active.add(data["partner"]["id"])
        elif not event["type"].startswith("partner."):
            assert data["partner"]["id"] in active
        if event["type"] == "click.tracked":
            clicks.add(data["click"]["id"])
        elif event["type"].startswith("conversion."):
            conversion = data["conversion"]
            assert data["tracking"]["click_id"] in {None, *clicks}
            assert conversion["parent_conversion_id"] in {None, *created}
            if event["type"] == "conversion.created":
                created.add(conversion["id"])
            assert conversion["id"] in created
            if event["type"] == "conversion.qualified":
                qualified.add(conversion["id"])
        elif event["type"] == "commission.calculated":
            assert data["commission"]["conversion_id"] in {None, *qualified}


@dataclass
class Books:
    """An accountant who knows the events only, and in their order."""

    owed: dict[str, Decimal] = field(default_factory=dict)
    approved: set[str] = field(default_factory=set)
    payable: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    open: dict[tuple[str | None, str | None], Decimal] = field(default_factory=dict)
    reserved: dict[str, Any] = field(default_factory=dict)

    def read(self, event: Any) -> None:
        data = event["data"]
        partner = data["partner"]["id"]
        match event["type"]:
            case "commission.calculated":
                self.owed[data["commission"]["id"]] = amount(data["commission"]["amount"])
            case "commission.adjusted":
                self._adjust(partner, data["commission"], data["adjustment"])
            case "commission.approved":
                commission = data["commission"]["id"]
                approved = data["approval"]["approved_amount"]
                assert amount(approved) == amount(data["commission"]["amount"])
                assert abs(amount(approved) - self.owed[commission]) <= abs(self.owed[commission]) / 50
                self.owed[commission] = amount(approved)
                assert commission not in self.approved
                self.approved.add(commission)
                self._open(partner, approved, commission, None)
            case "payout.scheduled":
                self._schedule(partner, data["payout"])
            case "payout.completed":
                assert data["completion"]["settled"] == data["payout"]["amount"]
            case "payout.failed":
                for each in self.reserved.pop(data["payout"]["id"]):
                    self._open(partner, each["amount"], each["commission_id"], each["adjustment_id"])

    def _adjust(self, partner: str, commission: Any, adjustment: Any) -> None:
        delta = adjustment["amount_delta"]
        if commission is None:
            self._open(partner, delta, None, adjustment["id"])
            return
        assert amount(adjustment["amount_before"]) == self.owed[commission["id"]]
        self.owed[commission["id"]] += amount(delta)
        assert amount(adjustment["amount_after"]) == amount(commission["amount"]) == self.owed[commission["id"]]
        if commission["id"] in self.approved:
            self._open(partner, delta, commission["id"], adjustment["id"])

    def _open(self, partner: str, money: Any, commission: str | None, adjustment: str | None) -> None:
        self.payable[partner, money["currency"]] += amount(money)
        self.open[commission, adjustment] = amount(money)

    def _schedule(self, partner: str, payout: Any) -> None:
        debit, currency = amount(payout["debit"]), payout["debit"]["currency"]
        assert 0 < debit <= self.payable[partner, currency]
        assert debit == sum(amount(each["amount"]) for each in payout["allocations"])
        assert amount(payout["amount"]) > 0
        for each in payout["allocations"]:
            assert each["amount"]["currency"] == currency
            assert amount(each["amount"]) == self.open.pop((each["commission_id"], each["adjustment_id"]))
        self.payable[partner, currency] -= debit
        self.reserved[payout["id"]] = payout["allocations"]


def amount(money: Any) -> Decimal:
    return Decimal(money["amount"])


def test_nobody_is_paid_more_than_is_payable_and_the_books_close(programme: list[Event]) -> None:
    """Payouts take only approved, open items, each once, and their sum; what remains is what is still open."""
    books = Books()
    for event in views(programme):
        books.read(event)
    assert sum(books.payable.values()) == sum(books.open.values())


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
    assert any(amount(each["amount"]) < 0 for each in commissions)


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
