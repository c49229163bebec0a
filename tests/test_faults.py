"""Each fault against a real receiver over real HTTP: what it answers, and where everything ends up."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import duckdb
import pytest

from ingest.sources import PRESETS
from ingest.staging import Stage, StagedLine
from pipelines.duckdb_warehouse import DuckDBWarehouse
from pipelines.load import Loader
from sending.clock import SystemClock
from sending.policy import Policy
from sending.signing import Signer
from simulator.delivery import deliveries
from simulator.faults import FAULTS, FaultName, Faults
from simulator.journal import Event
from simulator.programme import ProgrammeSize, play_programme
from simulator.sender import SendReport, send
from tests import preset_senders
from tests.misbehaving_server import MisbehavingServer, Say
from tests.running_receiver import SECRET, RunningReceiver, until

SOURCE = "stripe"
SCHEME = PRESETS[SOURCE]
UNTIL = datetime(2026, 11, 15, tzinfo=UTC)
SEEDS = count(1)
EVENTS = 40
REASONS = {
    FaultName.tampering: {"bad_signature"},
    FaultName.wrong_secret: {"bad_signature"},
    FaultName.clock_skew: {"timestamp_out_of_tolerance"},
    FaultName.garbled_headers: {
        "missing_signature", "repeated_signature", "garbled_signature", "bad_signature", "missing_timestamp",
        "garbled_timestamp", "unknown_content_encoding", "broken_compression",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReceiver]:
    configuration, environ = preset_senders.CONFIGURATION, preset_senders.ENVIRON
    with RunningReceiver(tmp_path_factory.mktemp("faults"), configuration, environ=environ) as running:
        yield running


def programme(events: int = EVENTS) -> list[Event]:
    """One whose ids no other test has."""
    return list(play_programme(next(SEEDS), ProgrammeSize(events, 2), UNTIL))


def play(url: str, events: list[Event], faults: str, source: str = SOURCE) -> SendReport:
    scheme = preset_senders.SCHEMES[source]
    signer = Signer.of(scheme, [scheme.secret_of("env:X", SECRET)])
    posts = deliveries(events, Faults.parse(faults), seed=1)
    return asyncio.run(send(url, signer, posts, policy=Policy(ladder=(1, 1, 1, 1)), clock=SystemClock(10)))


def ours(lines: list[StagedLine], events: list[Event]) -> dict[str, list[StagedLine]]:
    """The lines of *events*, by what became of them; those of another id made from theirs among them."""
    ids = {event.event_id for event in events}
    found: dict[str, list[StagedLine]] = {"accepted": [], "quarantined": []}
    for line in lines:
        if line.event_id in ids or (line.event_id or "").rpartition("_")[0] in ids:
            found[line.outcome].append(line)
    return found


@pytest.mark.parametrize("name", FaultName)
def test_each_fault_is_answered_as_it_should_be_and_ends_where_it_should(
    receiver: RunningReceiver, name: FaultName
) -> None:
    """Every event arrives, whatever is posted beside it; what is refused is refused for the right reason."""
    events = programme()
    refused_before = [line for line in receiver.staged() if line.outcome == "refused"]
    report = play(f"{receiver.url}/webhooks/{SOURCE}", events, f"{name}=1")
    assert not report.unexpected
    assert (report.undelivered, report.errors) == (0, {})
    assert report.by_status.keys() <= {200, *FAULTS[name].answers}

    staged = ours(receiver.staged(), events)
    accepted = Counter(line.event_id for line in staged["accepted"])
    assert accepted.keys() == {event.event_id for event in events}
    if name is not FaultName.new_fields:
        assert {line.payload for line in staged["accepted"]} == {event.body.decode() for event in events}

    extra = len(events) if name not in {"disorder", "delay", "bursts", "slow-connections", "new-fields"} else 0
    ends = FAULTS[name].ends
    assert report.sent == len(events) + extra
    assert report.quarantined == len(staged["quarantined"]) == (extra if ends == "quarantined" else 0)
    assert report.refused == (extra if ends == "refused" else 0)
    assert report.aborted == (extra if name is FaultName.aborted_connections else 0)
    if ends == "a duplicate":
        assert set(accepted.values()) == {2}
    if ends == "refused":
        until(lambda: len(_refused(receiver)) == len(refused_before) + extra)
        assert {line.reason for line in _refused(receiver)[len(refused_before) :]} <= REASONS[name]


def _refused(receiver: RunningReceiver) -> list[StagedLine]:
    return [line for line in receiver.staged() if line.outcome == "refused"]


def test_aborted_posts_leave_nothing_half_done(receiver: RunningReceiver) -> None:
    """The receiver counts those that hung up, and stages no event that is not whole."""
    before = _aborted(receiver)
    events = programme()
    play(f"{receiver.url}/webhooks/{SOURCE}", events, "aborted-connections=1")
    until(lambda: _aborted(receiver) > before)
    whole = {event.body.decode() for event in events}
    assert {line.payload for line in ours(receiver.staged(), events)["accepted"]} == whole


def _aborted(receiver: RunningReceiver) -> float:
    return receiver.figures().all("requests_total", "outcome").get(("aborted",), 0)


@pytest.mark.parametrize("source", ["hmac-sha256-hex", "standard-webhooks", "shopify", "hubspot-v3", "slack"])
def test_other_schemes_stand_the_same(receiver: RunningReceiver, source: str) -> None:
    """Whatever a source signs with, all that it can notice is refused, and all else arrives."""
    events = programme(100)
    faults = "all=0.2" if SCHEMES_WITH_TIME[source] else "all=0.2,clock-skew=0"
    report = play(f"{receiver.url}/webhooks/{source}", events, faults, source)
    assert not report.unexpected
    assert report.refused == pytest.approx(20 * (4 if SCHEMES_WITH_TIME[source] else 3), abs=4)
    accepted = ours(receiver.staged(), events)["accepted"]
    assert {line.event_id for line in accepted} == {event.event_id for event in events}


SCHEMES_WITH_TIME = {name: scheme.has_timestamp for name, scheme in PRESETS.items()}


def test_with_all_faults_at_once_each_event_is_loaded_once(tmp_path: Path) -> None:
    """From posts to the warehouse: what the platform knows to be true is there once, and all else is accounted for."""
    events = programme(1500)
    with RunningReceiver(tmp_path, preset_senders.CONFIGURATION, environ=preset_senders.ENVIRON) as receiver:
        report = play(f"{receiver.url}/webhooks/{SOURCE}", events, "all=0.05")
        receiver.stop()
    database = tmp_path / "warehouse.duckdb"
    loader = Loader(
        Stage(tmp_path / "var" / "stage"),
        tmp_path / "archive",
        DuckDBWarehouse(database, patience=5),
        tmp_path / "state",
    )
    loaded = loader.load()
    with duckdb.connect(database, read_only=True) as connection:
        rows = connection.execute(
            " union all ".join(
                f"select event_id from raw.{noun}_events"
                for noun in ("click", "conversion", "commission", "payout", "partner")
            )
        ).fetchall()
    assert sorted(row[0] for row in rows) == sorted(event.event_id for event in events)
    assert not report.unexpected
    assert loaded.counts.quarantined == report.quarantined
    assert loaded.counts.refused == report.refused
    assert loaded.counts.conflicting == 0
    assert loaded.counts.loaded == len(events)


def test_a_receiver_that_does_not_verify_is_told_apart() -> None:
    """One that says 200 to everything is found out by every post that it should have refused."""
    events = programme()
    with MisbehavingServer(Say(200, body=b"ok")) as server:
        report = play(server.url, events, "tampering=1,wrong-secret=1,clock-skew=1,garbled-headers=1,unknown-types=1")
    assert report.unexpected == {
        f"{name}: 200": len(events) for name in ("tampering", "wrong-secret", "clock-skew", "garbled-headers")
    }


def test_a_receiver_that_refuses_what_is_genuine_is_told_apart() -> None:
    """4xx to an honest sender loses the event for good."""
    events = programme()
    with MisbehavingServer(Say(401)) as server:
        report = play(server.url, events, "new-fields=1")
    assert report.unexpected == {"genuine: 401": len(events)}
    assert report.refused == len(events)


def test_every_post_is_counted_by_what_became_of_it(receiver: RunningReceiver) -> None:
    """Accepted, quarantined, refused and aborted add up to all; progress is told up to the last."""
    events = programme(200)
    told: list[int] = []
    posts = list(deliveries(events, Faults.parse("all=0.1"), seed=1))
    signer = Signer.of(SCHEME, [SCHEME.secret_of("env:X", SECRET)])
    url = f"{receiver.url}/webhooks/{SOURCE}"
    report = asyncio.run(send(url, signer, posts, on_progress=told.append))
    kinds = Counter(post.kind for post in posts)
    assert report.sent == len(posts) == told[-1]
    assert told == sorted(told)
    assert report.duplicates == kinds["duplicates"]
    assert report.aborted == kinds["aborted-connections"]
    assert report.quarantined == kinds["unknown-types"] + kinds["new-major-version"]
    assert report.refused == sum(kinds[name] for name in ("tampering", "wrong-secret", "clock-skew", "garbled-headers"))


def test_one_connection_keeps_the_order() -> None:
    """With a single connection nothing overtakes."""
    events = programme()
    with MisbehavingServer() as server:
        signer = Signer.of(SCHEME, [SCHEME.secret_of("env:X", SECRET)])
        posts = deliveries(events, Faults.parse("none"), seed=1)
        asyncio.run(send(server.url, signer, posts, connections=1, rate=5000.0))
        assert server.received == [event.event_id for event in events]


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "127.0.0.1:8000/webhooks/demo", "http:///x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """Told at once, before anything is sent."""
    signer = Signer.of(SCHEME, [SCHEME.secret_of("env:X", SECRET)])
    with pytest.raises(ValueError, match="address"):
        asyncio.run(send(url, signer, []))
