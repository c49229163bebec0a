"""The last step of `hookmart certify`: through receiver, loader, dbt and publication, each event once, to the cent."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hookmart.certification.arrival import Arrival
from hookmart.certification.check import Verdict
from hookmart.certification.sample_events import SampleEvents
from hookmart.certification.specimen import Sent, Specimen, read_payloads
from hookmart.commands import app
from hookmart.wiring import loader_of
from ingest.settings import load_settings
from models.event_types import EVENT_TYPES
from models.reading import read_event
from tests.line import Line
from tests.platform_payloads import PLATFORMS, mapping_of
from tests.running_receiver import CONFIGURATION, SECRET, RunningReceiver, signature, until

_VOLUME = 50


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """What stands behind a receiver."""
    return Line(tmp_path_factory.mktemp("arrival") / "var")


@pytest.fixture(scope="module")
def certificates(line: Line) -> list[dict[str, Any]]:
    """One of test events and one of live ones, by processes of their own while what they send is loaded and built."""
    directory = line.root.parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOOKMART_")}
    with RunningReceiver(directory, CONFIGURATION) as receiver:
        command = [
            sys.executable, "-m", "hookmart", "certify", receiver.url, "--config", str(directory / "hookmart.toml"),
            "--volume", str(_VOLUME), "--wait", "240", "--json",
        ]  # fmt: skip
        processes = [
            subprocess.Popen(
                [*command, *options], stdout=subprocess.PIPE, text=True, env={**environment, "ACME_SECRET": SECRET}
            )
            for options in ([], ["--live"])
        ]
        _load_all(line, lambda: any(process.poll() is not None for process in processes))
        line.build()
        return [json.loads(process.communicate(timeout=300)[0]) for process in processes]


def _load_all(line: Line, is_over: Callable[[], bool]) -> None:
    """Load until both runs have sent all, and what they sent last."""
    loaded = 0

    def is_all_there() -> bool:
        nonlocal loaded
        loaded += line.load().counts.loaded
        return loaded >= 2 * (_VOLUME + len(EVENT_TYPES)) or is_over()

    until(is_all_there)
    line.loader.wait_for_open_segments(5)
    line.load()


def arrived(certificate: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """What the last step says, by check."""
    return {
        check["name"]: (check["verdict"], check["came"])
        for check in certificate["checks"]
        if check["step"] == "arrived once"
    }


def test_live_events_are_in_the_marts_once_to_the_cent(certificates: list[dict[str, Any]]) -> None:
    """Sent with repeats, forgeries and garbage: each event is counted once, each refusal is on record, all adds up."""
    _, live = certificates
    found = arrived(live)
    assert {verdict for verdict, _ in found.values()} == {"pass"}, found
    assert found["in the marts once"][1] == "adjusted 1 (-2.34000000), conversions 2, earned 1 (12.34000000)"
    assert "unexplained 0" in found["nothing unexplained"][1]
    assert live["passed"]


def test_test_events_are_kept_out_of_the_marts(certificates: list[dict[str, Any]]) -> None:
    """They arrive in `raw` once like any other, and no mart counts them."""
    of_test_events, _ = certificates
    found = arrived(of_test_events)
    assert {verdict for verdict, _ in found.values()} == {"pass"}, found
    assert found["kept out of the marts"][1] == "conversions 0"
    assert of_test_events["passed"]


@pytest.mark.usefixtures("certificates")
def test_a_doubled_row_and_a_forged_one_are_found(line: Line) -> None:
    """What must never be, made by hand: a second row of an event, and the row of a body that nobody signed."""
    with line.warehouse.session() as session:
        [(event_id, sha256)] = session.execute("select event_id, body_sha256 from raw.click_events limit 1")
        session.execute("insert into raw.click_events from raw.click_events where event_id = $id", {"id": event_id})
    settings = load_settings(line.root.parent / "hookmart.toml", {})
    sent = Sent(acknowledged={event_id}, forged={sha256})
    samples = SampleEvents("none", datetime.now(UTC))
    checks = {each.name: each for each in Arrival(settings, "acme", 0).checks(sent, samples, is_mapped=False)}
    assert checks["in raw once"].verdict is Verdict.FAILED
    assert event_id in checks["in raw once"].remedy
    assert checks["nothing forged"].verdict is Verdict.FAILED


@pytest.mark.usefixtures("certificates")
def test_what_is_missing_is_found(line: Line) -> None:
    """An event, a request on record, a quarantined body, a second body: each that is not there is told."""
    settings = load_settings(line.root.parent / "hookmart.toml", {})
    with line.warehouse.session() as session:
        [(there,)] = session.execute("select event_id from raw.payout_events limit 1")
    sent = Sent({"e", there}, Counter({"e": 2}), quarantined={"00"}, conflicting={"e"})
    checks = Arrival(settings, "acme", 0).checks(sent, SampleEvents("none", datetime.now(UTC)), is_mapped=False)
    failed = {each.name: each for each in checks if each.verdict is Verdict.FAILED}
    assert failed.keys() == {"in raw once", "every repeat on record", "in quarantine", "the other body kept apart"}
    assert "Acknowledged and not there: e." in failed["in raw once"].remedy


def test_marts_that_say_otherwise_are_found(line: Line, certificates: list[dict[str, Any]]) -> None:
    """Events that marts should have left out, and events that they should have counted."""
    settings = load_settings(line.root.parent / "hookmart.toml", {})
    _, live = certificates
    for samples, name, remedy in (
        (SampleEvents(live["run"], datetime.now(UTC)), "kept out of the marts", "`include_test_events`"),
        (SampleEvents("none", datetime.now(UTC), is_live=True), "in the marts once", "`hookmart build --full-refresh`"),
    ):
        checks = {each.name: each for each in Arrival(settings, "acme", 0).checks(Sent(), samples, is_mapped=False)}
        assert checks[name].verdict is Verdict.FAILED
        assert remedy in checks[name].remedy


@pytest.mark.usefixtures("certificates")
def test_a_built_set_up_is_sound(line: Line) -> None:
    """The doctor finds the marts built, and readable."""
    arguments = ["doctor", "--config", str(line.root.parent / "hookmart.toml")]
    ran = CliRunner().invoke(app, arguments, env={"ACME_SECRET": SECRET})
    assert ran.exit_code == 0, ran.output
    assert "The marts are built up to load" in ran.stdout
    assert "Readers get the published marts; partners in them: 1." in ran.stdout


def test_payloads_of_a_platform_arrive_as_their_mapping_says(tmp_path: Path) -> None:
    """Each event that a payload tells of is there once; a payload that is ignored is missed by nobody."""
    source = '[sources.acme]\nscheme = "dub"\nsecrets = ["env:ACME_SECRET"]\nmapping = "dub"\n'
    payloads = read_payloads(PLATFORMS / "dub", mapping_of("dub"))
    with RunningReceiver(tmp_path, source) as receiver:
        settings = load_settings(tmp_path / "hookmart.toml", {})
        sent = Sent()
        for payload in [*payloads, *payloads, Specimen("junk", b'{"certify": 1}')]:
            assert receiver.post(
                payload.body, {"Dub-Signature": signature(payload.body)["X-Webhook-Signature"]}
            ).is_success
            sent.note(payload, is_acknowledged=True)
        receiver.stop()
    loader_of(settings).load()
    samples = SampleEvents("none", datetime.now(UTC))
    checks = {each.name: each for each in Arrival(settings, "acme", 0).checks(sent, samples, is_mapped=True)}
    assert {each.verdict for each in checks.values()} == {Verdict.PASSED, Verdict.NOT_EXERCISED}
    assert checks["in raw once"].came == f"{len(sent.acknowledged):,} there, 0 of them several times"
    assert any(payload.is_ignored for payload in payloads)
    checks = {each.name: each for each in Arrival(settings, "acme", 0).checks(sent, samples, is_mapped=False)}
    assert "Run `hookmart build`" in checks["kept out of the marts"].remedy


def test_there_is_a_genuine_sample_of_every_type() -> None:
    """Each is an event of its contract, marked as a test event unless it is asked to be a live one."""
    for is_live in (False, True):
        story = SampleEvents("1f2e", datetime.now(UTC), is_live=is_live).story()
        assert [read_event(json.dumps(event).encode()).event_type for event in story] == [e["type"] for e in story]
        assert {event["type"] for event in story} == set(EVENT_TYPES)
        assert {event["livemode"] for event in story} == {is_live}


def test_nothing_arrives_anywhere_else(tmp_path: Path) -> None:
    """A configuration without stage and warehouse has nothing to look into, unless it is told to."""
    (tmp_path / "hookmart.toml").write_text(CONFIGURATION)
    settings = load_settings(tmp_path / "hookmart.toml", {})
    assert not Arrival(settings, "acme", 0).is_within_reach()
    assert Arrival(settings, "acme", 0, is_forced=True).is_within_reach()
