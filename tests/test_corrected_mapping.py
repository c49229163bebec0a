"""A mapping that was wrong, or not there, when its payloads came: they wait, and a corrected one lets them in."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from mappings.mapping_file import builtin_text
from tests.platform_payloads import NAMES, PLATFORMS
from tests.test_mapped_sources import CONFIGURATION, Programme, payload, post


class Correction:
    """
    Payloads that came before their mapping was right, or there at all, and what became of them.

    At the door Dub's mapping and Everflow's are wrong and Tapfiliate has none. The loader's first configuration has
    Everflow's right and none for Rewardful. Then there is one for all, and at last Dub's is right as well.
    """

    def __init__(self, directory: Path) -> None:
        builtin = {name: builtin_text(name) for name in NAMES}
        dub, everflow = directory / "dub.toml", directory / "everflow.toml"
        dub.write_text(builtin["dub"].replace('"data.earnings"', '"data.id"').replace('"link.updated", ', ""))
        everflow.write_text(builtin["everflow"].replace('path = "payout", as', 'path = "revenue", as'))
        right = CONFIGURATION.replace('"dub"\n\n', '"dub.toml"\n\n').replace('= "everflow"', '= "everflow.toml"')
        self.programme = programme = Programme(directory, right.replace('mapping = "tapfiliate"', ""))
        commission = json.loads((PLATFORMS / "rewardful" / "commission-created.json").read_text())
        other = {**commission, "object": {**commission["object"], "amount": 1}}
        unknown = {"id": "evt_9", "event": "link.updated", "createdAt": "2026-05-01T00:00:00Z"}
        posts = [
            *(post("dub", body) for body in (payload("dub", "sale-created"), payload("dub", "commission-created"))),
            *(post("dub", body) for body in (json.dumps(unknown).encode(), b"{}", b"no json", EVENT)),
            post("everflow", payload("everflow", "conversion-approved")),
            *(post("rewardful", json.dumps({**each, "request": {"id": str(number)}}).encode())
              for number, each in enumerate((commission, commission, other))),
            post("tapfiliate", payload("tapfiliate", "conversion-created")),
            post("tapfiliate", EVENT),
        ]  # fmt: skip
        responses, self.lines = programme.post(posts)
        self.answers = [(response.status_code, response.json()["status"]) for response in responses]
        everflow.write_text(builtin["everflow"])
        programme.configuration = programme.configuration.replace('mapping = "rewardful"', "")
        self.first = programme.load().counts
        self.waiting = programme.rows(WAITING)
        programme.configuration = right
        self.dry = programme.replay(is_dry_run=True)
        dub.write_text(builtin["dub"])
        self.replayed = programme.replay()
        self.second = programme.load().counts
        self.again = programme.replay()


WAITING = """
    select source_id, reason, event_type, detail from raw.quarantined_events where replayed_at is null order by all
"""
EVENT = Path("tests/fixtures/events/04_conversion.created.json").read_bytes()


@pytest.fixture(scope="module")
def correction(tmp_path_factory: pytest.TempPathFactory) -> Correction:
    return Correction(tmp_path_factory.mktemp("correction"))


def test_what_does_not_fit_is_answered_200_and_waits_whole(correction: Correction) -> None:
    """The sender did nothing wrong; the line holds what it sent, says where it does not fit, and never the value."""
    assert correction.answers[:6] == [(200, "accepted"), *[(200, "quarantined")] * 5]
    assert [row for row in correction.waiting if row[0] == "dub"] == [
        ("dub", "malformed_json", "dub:?", "the body is not JSON"),
        ("dub", "mapping", "dub:commission.created",
         "data.id (for data.commission.amount): a whole number is expected"),
        ("dub", "unknown_type", "dub:?", "event (for the type): the payload does not say it"),
        ("dub", "unknown_type", "dub:?", "event (for the type): the payload does not say it"),
        ("dub", "unknown_type", "dub:link.updated", "the mapping has no rule for this type"),
    ]  # fmt: skip


def test_a_mapping_counts_as_it_is_when_its_payload_is_loaded(correction: Correction) -> None:
    """The segment holds the platform's body: what was right at load is loaded, whatever it was at the door."""
    (line,) = [line for line in correction.lines if line.source_id == "everflow"]
    assert json.loads(line.payload or "")["conversion_id"] == "cv-1"
    amounts = correction.programme.rows(
        "select distinct amount from raw.commission_events where source_id = 'everflow'"
    )
    assert amounts == [(Decimal("45.10"),)]


def test_a_loader_that_knows_no_mapping_loses_nothing(correction: Correction) -> None:
    """What it cannot map waits in quarantine, and what came before there was a mapping waits there too."""
    counts = correction.first
    assert counts.received == counts.loaded + counts.duplicate + counts.quarantined + counts.refused
    assert [row[:3] for row in correction.waiting if row[0] in {"rewardful", "tapfiliate"}] == [
        *[("rewardful", "unmapped", "rewardful:commission.created")] * 3,
        ("tapfiliate", "contract", None),
    ]


def test_a_corrected_mapping_lets_in_what_waited(correction: Correction) -> None:
    """All events of each payload go in, once, and what still does not fit stays; nothing is unexplained."""
    assert correction.dry.fitting == 4
    assert correction.replayed.fitting == 5
    assert correction.second.received == correction.second.loaded + correction.second.duplicate
    rows = correction.programme.rows("select source_id, event_type, amount from raw.commission_events order by all")
    assert [row for row in rows if row[0] in {"dub", "rewardful", "tapfiliate"}] == [
        ("dub", "commission.calculated", Decimal("24.69")),
        ("rewardful", "commission.calculated", Decimal("27.00")),
        ("tapfiliate", "commission.approved", Decimal("1.2")),
        ("tapfiliate", "commission.calculated", Decimal("1.2")),
        ("tapfiliate", "commission.calculated", Decimal("12.345")),
    ]
    assert {row[1] for row in correction.programme.rows(WAITING)} == {"malformed_json", "unknown_type"}
    assert correction.again.fitting == 0
    assert correction.again.remaining == {"malformed_json": 1, "unknown_type": 2, "ignored": 1}
    state = json.loads((correction.programme.directory / "var" / "state" / "status.json").read_text())
    assert {each["unexplained"] for each in state["sources"].values()} == {0}


def test_another_body_under_one_id_is_a_conflict_and_the_same_is_not(correction: Correction) -> None:
    """Rewardful names each request anew; what counts is whether it says the same of the event."""
    conflicts = correction.programme.rows("select source_id, payload from raw.event_conflicts")
    assert [(source, json.loads(body)["data"]["commission"]["amount"]["amount"]) for source, body in conflicts] == [
        ("rewardful", "0.01")
    ]


def test_an_event_of_the_contract_from_before_the_mapping_stays_one(correction: Correction) -> None:
    """A source that spoke the contract until it had a mapping keeps what it said."""
    held = correction.programme.rows("select event_id from raw.conversion_events where source_id = 'tapfiliate'")
    assert sorted(held) == [("9001#conversion",), (json.loads(EVENT)["id"],)]
