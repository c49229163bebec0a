"""Platforms as they are, from their signed requests to the marts."""

import hashlib
import hmac
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from hookmart.wiring import loader_of, mappings_of
from ingest.errors import SettingsError
from ingest.settings import Settings, load_settings
from ingest.staging import IGNORED, Stage, StagedLine
from pipelines.load import LoadReport
from pipelines.quarantine import Quarantine, Selection
from tests.asgi_receiver import Ask, ask
from tests.line import Line
from tests.platform_payloads import FILES, NAMES, PERSONAL, PLATFORMS, PRIVACY_KEY, expected

DUB, REWARDFUL, TOKEN = b"whsec_0123456789abcdef", b"rewardful-rewardful-rewardful-rw", b"t" * 32
CONFIGURATION = """
[stage]
segment_max_age_seconds = 0.05

[privacy]
key = "env:PRIVACY"

[sources.dub]
scheme = "dub"
secrets = ["env:DUB"]
mapping = "dub"

[sources.rewardful]
scheme = "rewardful"
secrets = ["env:REWARDFUL"]
mapping = "rewardful"

[sources.firstpromoter]
scheme = "bearer"
secrets = ["env:TOKEN"]
path_token = "env:TOKEN"
mapping = "firstpromoter"
mapping_currency = "eur"

[sources.everflow]
scheme = "none"
path_token = "env:TOKEN"
mapping = "everflow"

[sources.tapfiliate]
scheme = "none"
path_token = "env:TOKEN"
mapping = "tapfiliate"

[sources.acme]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
"""
ENVIRON = {
    "DUB": DUB.decode(), "REWARDFUL": REWARDFUL.decode(), "TOKEN": TOKEN.decode(), "PRIVACY": PRIVACY_KEY.decode(),
    "ACME_SECRET": "0123456789abcdef0123456789abcdef",
}  # fmt: skip


def _signed(header: str, key: bytes) -> Callable[[bytes], dict[str, str]]:
    return lambda body: {header: hmac.new(key, body, hashlib.sha256).hexdigest()}


SIGN: dict[str, Callable[[bytes], dict[str, str]]] = {
    "dub": _signed("Dub-Signature", DUB),
    "rewardful": _signed("X-Rewardful-Signature", REWARDFUL),
    "firstpromoter": lambda _body: {"Authorization": f"Bearer {TOKEN.decode()}"},
    "everflow": lambda _body: {},
    "tapfiliate": lambda _body: {},
}


def post(source: str, body: bytes) -> Ask:
    """The request that the platform sends."""
    token = "" if source in {"dub", "rewardful"} else f"/{TOKEN.decode()}"
    return Ask(body, SIGN[source](body), f"http://receiver.test/webhooks/{source}{token}")


class Programme:
    """A configuration, the receiver of it, and the line behind it."""

    def __init__(self, directory: Path, configuration: str = CONFIGURATION) -> None:
        self.directory = directory
        self.configuration = configuration
        self.line = Line(directory / "var")

    @property
    def settings(self) -> Settings:
        path = self.directory / "hookmart.toml"
        path.write_text(self.configuration, encoding="utf-8")
        return load_settings(path, ENVIRON)

    def post(self, asks: Sequence[Ask]) -> tuple[list[httpx.Response], list[StagedLine]]:
        return ask(self.directory, self.configuration, asks, environ=ENVIRON)

    def load(self) -> LoadReport:
        return replace(loader_of(self.settings), warehouse=self.line.warehouse).load()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.line.query_warehouse(sql)]

    def replay(self, *, is_dry_run: bool = False) -> Any:
        stage = Stage(self.directory / "var" / "stage")
        quarantine = Quarantine(self.line.warehouse, stage, mappings_of(self.settings))
        return quarantine.replay(Selection(), is_dry_run=is_dry_run)


def payload(source: str, name: str) -> bytes:
    return (PLATFORMS / source / f"{name}.json").read_bytes()


def posts_of(paths: Iterable[Path]) -> list[Ask]:
    return [post(path.parent.name, path.read_bytes()) for path in paths]


@pytest.fixture(scope="module")
def programme(tmp_path_factory: pytest.TempPathFactory) -> Programme:
    """Every payload of every platform, posted, loaded and built; nothing of it is changed by a test."""
    programme = Programme(tmp_path_factory.mktemp("platforms"))
    responses, lines = programme.post(posts_of(FILES))
    programme.answers = [response.json() for response in responses]  # type: ignore[attr-defined]
    programme.lines = lines  # type: ignore[attr-defined]
    programme.report = programme.load()  # type: ignore[attr-defined]
    programme.line.build()
    return programme


def test_every_payload_is_answered_as_it_is_understood(programme: Any) -> None:
    """What the mapping makes events of is accepted, what it leaves out is ignored, and nobody is told to go away."""
    for path, answer, line in zip(FILES, programme.answers, programme.lines, strict=True):
        events = expected(path)
        assert answer == (
            {"status": "accepted", "event_id": events[0]["id"]} if events else {"status": "ignored", "event_id": None}
        )
        assert line.reason == (None if events else IGNORED)
        assert line.event_type.startswith(f"{path.parent.name}:")


def test_nothing_personal_is_written(programme: Any) -> None:
    """Neither stage nor warehouse hold a customer's name or anybody's address; a partner's name is there."""
    written = [line.encode().lower() for line in programme.lines]
    for table in ("click_events", "conversion_events", "commission_events", "payout_events", "partner_events"):
        written += [str(row).lower().encode() for row in programme.rows(f"from raw.{table}")]
    assert len(written) > len(FILES)
    for each in written:
        assert not [marker for marker in PERSONAL if marker in each]
    assert any(b"lena holm" in each for each in written)


def test_raw_holds_the_events_and_the_identity_holds(programme: Any) -> None:
    """Each event once, with the canonical JSON; what is ignored is a delivery and no event; nothing is unexplained."""
    wanted: dict[tuple[str, str], Any] = {}
    for path in FILES:
        for event in expected(path):
            wanted.setdefault((path.parent.name, event["id"]), event)
    held = {
        (source, event_id): json.loads(payload)
        for table in ("click", "conversion", "commission", "payout", "partner")
        for source, event_id, payload in programme.rows(f"select source_id, event_id, payload from raw.{table}_events")
    }
    assert held == wanted
    counts = programme.report.counts
    assert counts.loaded == len(wanted)
    assert counts.received == sum(len(expected(path)) for path in FILES)
    assert counts.received == counts.loaded + counts.duplicate + counts.quarantined + counts.refused
    ignored = sum(not expected(path) for path in FILES)
    assert programme.rows("select count(*) from raw.deliveries where outcome = 'ignored'") == [(ignored,)]
    assert programme.rows("select count(*) from raw.deliveries") == [(len(FILES),)]
    state = json.loads((programme.directory / "var" / "state" / "status.json").read_text())
    assert {each["unexplained"] for each in state["sources"].values()} == {0}
    assert sum(each["ignored"] for each in state["sources"].values()) == ignored > 0


def test_what_is_ignored_is_counted_from_load_to_load(tmp_path: Path) -> None:
    """Each load adds its own; where the file does not say how many there were, all are counted."""
    programme = Programme(tmp_path)
    state = tmp_path / "var" / "state" / "status.json"
    ignored = next(path for path in FILES if not expected(path))
    for count in range(1, 4):
        programme.post(posts_of([ignored]))
        programme.load()
        document = json.loads(state.read_text())
        assert document["sources"][ignored.parent.name]["ignored"] == count
        if count == 2:
            del document["sources"][ignored.parent.name]["ignored"]
            state.write_text(json.dumps(document))


def test_the_money_of_each_platform_is_right(programme: Any) -> None:
    """What each partner has earned, was adjusted by, was paid and is owed, to the last digit, in each currency."""
    sums = programme.line.query("""
        select source_id, partner_id, currency, sum(earned) as earned, sum(adjusted) as adjusted, sum(paid) as paid,
               arg_max(closing_balance, month) as closing
        from marts.commission_statement_monthly group by all order by all
    """)
    by_partner = {
        (row["source_id"], row["partner_id"], row["currency"]): [
            row["earned"], row["adjusted"], row["paid"], row["closing"],
        ]
        for row in sums
    }  # fmt: skip
    assert by_partner == {
        key: [Decimal(value) for value in values]
        for key, values in {
            ("dub", "pn_1", "USD"): ("26.19", "-15.00", "11.19", "0.00"),
            # 27.00, edited to 20.25; 11.11 voided; one deleted that was never told of; one payout paid.
            ("rewardful", "aff-1", "USD"): ("31.36", "-14.11", "20.25", "-3.00"),
            # 20.10 edited to 19.00; 5.00 deleted; 7.00 denied; a refund of 1.25.
            ("firstpromoter", "501", "EUR"): ("31.00", "-13.25", "17.75", "0.00"),
            ("firstpromoter", "601", "EUR"): ("19.99", "0.00", "19.99", "0.00"),
            ("everflow", "39", "USD"): ("65.09999999", "0.00", "0.00", "65.09999999"),
            ("tapfiliate", "jane", "KWD"): ("12.345", "0.00", "12.345", "0.000"),
            ("tapfiliate", "parent", "KWD"): ("1.2", "0.00", "0.00", "1.2"),
        }.items()
    }
    values = programme.line.query(
        "select value_amount, value_currency from marts.conversions where source_id = 'dub' and value_amount > 0"
    )
    assert sorted((row["value_amount"], row["value_currency"]) for row in values) == [
        (Decimal("123.45"), "USD"), (Decimal(9995), "JPY"),
    ]  # fmt: skip


def test_a_payout_is_allocated_to_the_commissions_that_its_payload_lists(programme: Any) -> None:
    """What a mapping makes of a list reaches the warehouse, member by member, and the marts compare it."""
    compared = programme.line.query(
        "select allocations, allocated_amount, allocated_currency, reconciliation_status "
        "from marts.payout_reconciliation where source_id = 'rewardful' and payout_id = 'pay-1'"
    )
    assert compared == [
        {
            "allocations": 1, "allocated_amount": Decimal("20.25"), "allocated_currency": "USD",
            "reconciliation_status": "matched",
        }
    ]  # fmt: skip


def test_any_order_and_every_redelivery_give_the_same_marts(programme: Any, tmp_path: Path) -> None:
    """Shuffled, in two loads, each payload twice: the marts of one orderly delivery, and the rest duplicates."""
    other = Programme(tmp_path)
    shuffled = posts_of(FILES) * 2
    random.Random(7).shuffle(shuffled)
    half = len(shuffled) // 2
    other.post(shuffled[:half])
    counts = other.load().counts
    other.post(shuffled[half:])
    counts += other.load().counts
    assert counts.received == 2 * programme.report.counts.received
    assert counts.conflicting == 0
    assert counts.loaded + counts.duplicate == counts.received
    other.line.build()
    ours, first = other.line.marts(), programme.line.marts()
    for marts in (ours, first):
        del marts["pipeline_freshness"]  # it counts deliveries, and each came twice
    assert ours == first


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            'mapping = "dub"',
            'mapping = "dubb"',
            "`sources.dub.mapping` cannot be used: 'dubb' is no mapping",
        ),
        ('mapping = "dub"', 'mapping = "gone.toml"', "there is no mapping at"),
        ('mapping = "dub"', 'mapping = "dub"\narrays = true', "`mapping` takes one payload a request"),
        ('mapping = "dub"', 'mapping_currency = "EUR"', "`mapping_currency` says nothing without a `mapping`"),
        ('mapping_currency = "eur"', 'mapping_currency = "euro"', "'euro' is not a known currency"),
    ],
)
def test_a_source_that_cannot_be_mapped_is_refused_at_start(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    """The configuration says so in a sentence; no payload finds it out."""
    with pytest.raises(SettingsError) as caught:
        _ = Programme(tmp_path, CONFIGURATION.replace(old, new, 1)).settings
    assert sentence in str(caught.value)


def test_every_mapping_is_in_the_programme() -> None:
    """A mapping that is added to those that come with hookmart is played here as well."""
    assert set(SIGN) == set(NAMES)
