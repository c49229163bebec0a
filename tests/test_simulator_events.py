"""The events of a played programme: within the contract, of one story, and with books that close."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from models.reading import read_event
from simulator.flavour import Flavour
from simulator.journal import Event
from simulator.programme import ProgrammeSize, play_programme
from tests.test_simulator import ENDS, SMALL, UNTIL, views

PROGRAMMES = [
    *[(seed, SMALL, UNTIL, flavour) for seed in (1, 2) for flavour in Flavour],
    *[(1, SMALL, end, Flavour.igaming) for end in ENDS[1:]],
    (1, ProgrammeSize(events=60, partners=1), UNTIL, Flavour.saas),
    (2, ProgrammeSize(events=1, partners=3), UNTIL, Flavour.forex),
    (1, ProgrammeSize(events=4000, partners=30), UNTIL, Flavour.prop),
]


@pytest.fixture(scope="module", params=PROGRAMMES, ids=str)
def programme(request: pytest.FixtureRequest) -> list[Event]:
    return list(play_programme(*request.param))


def test_every_event_is_within_the_contract(programme: list[Event]) -> None:
    """What the played platform posts is what the receiver accepts, under the id and type it was given."""
    for event in programme:
        header = read_event(event.body)
        assert (header.event_id, header.event_type) == (event.event_id, event.event_type)
        assert header.occurred_at == event.occurred_at


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
