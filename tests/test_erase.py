"""An erased customer stands in no file any more, comes back by no way, and no total has changed."""

import hashlib
import json
import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
import zstandard
from typer.testing import CliRunner

from hookmart.commands import app
from ingest.erased_json import replaced_in
from ingest.refused_directory import RefusedDirectory
from ingest.refused_erasure import clean_refused
from ingest.refused_request import RefusedRequest
from ingest.staging import StagedLine
from ingest.tombstones import Tombstones
from models.columns import EVENT_COLUMNS
from pipelines.batches import Counts
from pipelines.erasure import Erasure, ErasureReport
from tests.line import RECEIVED_AT, BareLine, Line, fixture_bodies, staged_line
from tests.test_quarantine import assert_explained
from tests.test_replay import raw_rows, replayed

FIXTURES = Path(__file__).parent / "fixtures" / "events"
CUSTOMER, EXTERNAL = "cus_5f3a77e0b1", "crm-9917-aa41"
WAITING, SPOILT, STAGED = "crm-7720-c3c9", "crm-3341-beef", "crm-1085-f00d"
"""Further ids of the customer: beside the id in quarantine only, in an unreadable segment, in what is still staged."""

IDS = (CUSTOMER, EXTERNAL, WAITING, SPOILT, STAGED)
NEW = "crm-6006-0ff5"
"""One that came into use after the erasure."""

EXAMPLES = {json.loads(raw)["type"]: json.loads(raw) for raw in fixture_bodies(FIXTURES)}


def conversion(number: int, who: str = CUSTOMER, external: str = EXTERNAL, **data: Any) -> dict[str, Any]:
    """A conversion of a customer, told by the example."""
    event: dict[str, Any] = json.loads(json.dumps(EXAMPLES["conversion.created"]))
    event |= {"id": f"evt_c{number}"}
    event["data"]["conversion"] |= {"id": f"cnv_{number}", "external_id": f"order-{number}"}
    event["data"] |= {
        "customer": {"id": who, "external_id": external, "country": "MT", "registered_at": event["timestamp"]}
    }
    event["data"] |= data
    return event


def commission(number: int, customer: str = CUSTOMER) -> dict[str, Any]:
    """A commission for it."""
    event: dict[str, Any] = json.loads(json.dumps(EXAMPLES["commission.calculated"]))
    event |= {"id": f"evt_m{number}"}
    event["data"]["commission"] |= {"id": f"com_{number}", "conversion_id": f"cnv_{number}", "customer_id": customer}
    return event


def staged(event: dict[str, Any] | bytes, after: int = 0) -> StagedLine:
    raw = event if isinstance(event, bytes) else orjson.dumps(event)
    return staged_line("acme", raw, RECEIVED_AT + timedelta(seconds=after))


OTHER = conversion(4, "cus_other", "crm-other", note=[WAITING, SPOILT, STAGED])
ESCAPED = orjson.dumps(conversion(5)).replace(b"cus_5f3a", b"cus_\\u0035f3a")
LINES = [
    staged(conversion(1, tracking={"sub_ids": {"sub1": CUSTOMER}})),
    staged(commission(1)),
    staged(conversion(2, note={"who": [CUSTOMER, EXTERNAL]})),
    staged({**conversion(2), "program_id": "another"}, after=1),
    staged(ESCAPED),
    staged(OTHER),
    staged({**conversion(6, external=WAITING), "type": "conversion.unheard_of"}),
    staged(b'{"customer": {"id": "' + CUSTOMER.encode() + b'", '),
    replace(
        staged({**conversion(7), "type": "odd"}),
        payload=None,
        payload_base64="eyJjdXN0b21lcl9pZCI6ICJjdXNfNWYzYTc3ZTBiMSJ9",
    ),
]


def erasure_of(line: BareLine) -> Erasure:
    refused = RefusedDirectory(line.root / "refused")
    return Erasure(line.loader, line.builder, lambda gone: clean_refused(refused, gone))


def files_with(root: Path, *ids: str) -> list[str]:
    """The files under *root* in which one of *ids* stands, unpacked or not."""
    found = []
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if path.suffix == ".zst":
                content += zstandard.decompress(content)
            if any(each.encode() in content for each in ids):
                found.append(str(path.relative_to(root)))
    return found


def load_activity(line: BareLine) -> None:
    """Load a day of two players from the operator's file, which is theirs and goes."""
    day = {"source_id": "acme", "activity_date": "2026-10-30", "currency": "EUR"}
    players = {CUSTOMER: "5.00", "cus_other": "7.00"}
    line.load_inputs({"player_activity": [{**day, "customer_id": each, "ggr": ggr} for each, ggr in players.items()]})
    shutil.rmtree(line.root / "inputs")


def tell(line: BareLine, builds: int = 2) -> None:
    """Put the customer everywhere: loaded, built twice or once, waiting, in conflict, refused, in an input."""
    root = line.root
    line.stage_lines(LINES[:3])
    line.load()
    if builds > 1:
        line.build()
    line.stage_lines(LINES[3:])
    line.load()
    line.build()
    load_activity(line)
    request = RefusedRequest(
        delivery_id="1", source_id="acme", received_at="2026-11-01T00:00:00Z", reason="bad_signature", method="POST",
        url=None, headers=[], body_base64="eyJjdXN0b21lcl9pZCI6ICJjdXNfNWYzYTc3ZTBiMSJ9", is_redacted=False,
        body_bytes=34,
    )  # fmt: skip
    (root / "refused").mkdir()
    segment = line.stage_lines([])
    shutil.move(segment, root / "refused" / segment.name)
    (root / "refused" / segment.name).write_bytes(request.encode())
    torn = b'\xff"' + CUSTOMER.encode() + b'" torn ' + STAGED.encode() + b"\n"
    (line.stage.root / "spoilt.unreadable").write_bytes(torn + staged(conversion(7, external=SPOILT)).encode())
    line.stage_lines([staged(conversion(8, external=STAGED), after=5)])


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> tuple[Line, ErasureReport, dict[str, Any]]:
    line = Line(tmp_path_factory.mktemp("erased"))
    tell(line)
    before = line.marts()
    return line, erasure_of(line).erase(CUSTOMER, ["acme"]), before


def test_the_id_stands_in_no_file(erased: tuple[Line, ErasureReport, dict[str, Any]]) -> None:
    """Neither the id nor an external one that came with it anywhere, however spelled, is in any byte that is kept."""
    line, report, _ = erased
    assert files_with(line.root, *IDS, "cus_\\\\u0035f3a", "ICJjdXNfNWYzYTc3ZTBiMSJ9") == []
    assert report.rows == {
        "conversion_events": 5, "commission_events": 1, "event_conflicts": 1, "quarantined_events": 3,
        "player_activity_rows": 1,
    }  # fmt: skip
    assert (report.archived_segments, report.unreadable_segments, report.refused_requests) == (3, 1, 1)
    # Whoever knows an id and the days of a player could work out the hash of both.
    day = repr(["acme", CUSTOMER, date(2026, 10, 30), "EUR"])
    assert files_with(line.root, hashlib.sha256(day.encode()).hexdigest()) == []
    (request,) = RefusedDirectory(line.root / "refused").requests()
    assert request.is_redacted
    tables = line.query_warehouse(
        "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE'"
    )
    for row in tables:
        rows = line.query_warehouse(f'select * from "{row["table_schema"]}"."{row["table_name"]}"')
        assert not any(each in repr(rows) for each in IDS), row


def test_totals_are_what_they_were(erased: tuple[Line, ErasureReport, dict[str, Any]]) -> None:
    """Every mart has the rows that it had, and its money; whose they are cannot be told, but that they are one's."""
    line, _, before = erased
    after = line.marts()
    gone = {"customer_id", "customer_external_id", "customer_registered_at", "sub1", "load_seq"}
    # One more conversion was staged when the customer was erased.
    rows = [row for row in after["conversions"] if row["conversion_id"] != "cnv_8"]
    assert [{k: v for k, v in row.items() if k not in gone} for row in rows] == [
        {k: v for k, v in row.items() if k not in gone} for row in before["conversions"]
    ]
    assert after["commission_ledger"] == before["commission_ledger"]
    customers = {row["customer_id"] for row in after["conversions"]}
    assert len(customers) == 2
    assert "cus_other" in customers
    assert_explained(line)


def test_nobody_comes_back(erased: tuple[Line, ErasureReport, dict[str, Any]], tmp_path: Path) -> None:
    """Not by a replay, which changes nothing, nor by a redelivery, a new event, or a warehouse made anew."""
    line = Line(tmp_path / "line")
    shutil.copytree(erased[0].root, line.root, symlinks=True, dirs_exist_ok=True)
    once = raw_rows(line)
    report = replayed(line)
    assert (report.loaded, report.changed, report.removed) == (0, 0, 0)
    assert raw_rows(line) == once

    line.stage_lines([staged(conversion(1, tracking={"sub_ids": {"sub1": CUSTOMER}}), after=60)])
    line.stage_lines([staged(conversion(9, external=NEW, tracking={"sub_ids": {"sub2": NEW}}, note=[NEW]), after=61)])
    line.stage_lines([staged({**commission(9, "cus_other"), "note": [WAITING, STAGED]}, after=62)])
    assert line.load().counts == Counts(received=3, loaded=2, duplicate=1)
    activity = "select distinct customer_id, row_key, ggr from raw.player_activity_rows order by all"
    played = line.query_warehouse(activity)
    load_activity(line)
    assert line.query_warehouse(activity) == played
    assert len(played) == 2
    assert files_with(line.root, *IDS, NEW) == []
    counted = line.query_warehouse("select count(distinct customer_id) as customers from raw.conversion_events")
    assert counted == [{"customers": 2}]

    again = Line(tmp_path / "again")
    shutil.copytree(line.root / "archive", again.root / "archive")
    replayed(again)
    for table in EVENT_COLUMNS:
        without = ("load_seq", "loaded_at", "replayed_at")
        assert raw_rows(again, *without)[table] == raw_rows(line, *without)[table]
    assert files_with(again.root, *IDS, NEW) == []


def test_who_is_nowhere_is_said_to_be(tmp_path: Path) -> None:
    """Exit code 0 and a sentence; and kept out from then on."""
    line = Line(tmp_path)
    (tmp_path / "hookmart.toml").write_text('[stage]\nurl = "stage"\n[warehouse]\ndatabase = "warehouse.duckdb"\n')
    arguments = ["erase", "--config", str(tmp_path / "hookmart.toml"), "--customer", CUSTOMER, "--source", "acme"]
    said = CliRunner().invoke(app, arguments)
    assert (said.exit_code, "stands nowhere" in said.output) == (0, True)
    document = json.loads(CliRunner().invoke(app, [*arguments, "--yes", "--json"]).stdout)
    assert (document["found"], document["rows"]) == (False, {})
    line.stage_lines([staged(conversion(1))])
    line.load()
    assert files_with(line.root, CUSTOMER) == []


def test_an_id_that_looks_like_a_number_costs_no_amount() -> None:
    """It goes where a customer's id stands, as text or as a number, and nowhere else; no other byte changes."""
    text = (
        '{"id": "42", "data": {"customer":{"id": 42, "external_id" : "x", "is_new":true},  "player_id":"42",'
        '"commission":{"customer_id":"42","id":"42","amount":{"amount":"42","currency":"EUR"},"rate":42.10},'
        '"changes":[{"field":"customer.id","old":"41","new":"42"},{"field":"value","old":"42","new":"43"}]}}'
    )
    expected = (
        '{"id": "42", "data": {"customer":{"id": "gone", "external_id" : null, "is_new":true},  "player_id":"gone",'
        '"commission":{"customer_id":"gone","id":"42","amount":{"amount":"42","currency":"EUR"},"rate":42.10},'
        '"changes":[{"field":"customer.id","old":"41","new":"gone"},{"field":"value","old":"42","new":"43"}]}}'
    )
    assert replaced_in(text, lambda value: "gone" if value == "42" else None) == expected


def test_an_id_that_is_another_things_id_too_stays_there() -> None:
    """A partner, an order or an event that goes by the same text is nobody's customer."""
    text = '{"id":"a1","data":{"partner":{"id":"a1"},"customer":{"id":"a1"},"conversion":{"id":"a1"},"x":["a1","a11"]}}'
    assert replaced_in(text, lambda value: "gone" if value == "a1" else None) == text.replace(
        '"customer":{"id":"a1"}', '"customer":{"id":"gone"}'
    ).replace('["a1","a11"]', '["gone","a11"]')


def test_the_list_holds_hashes_and_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """The same id of another source is another customer's; the list survives, and knows no id."""
    Tombstones(tmp_path).add([("acme", CUSTOMER)], "2026-11-28T00:00:00+00:00")
    again = Tombstones(tmp_path)
    assert again.replacement("acme", CUSTOMER)
    assert again.replacement("zenith", CUSTOMER) is None
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert files_with(tmp_path, CUSTOMER) == []
    with duckdb.connect() as connection:
        assert connection.sql(f"select count(*) from read_json('{tmp_path}/erased.jsonl')").fetchall() == [(1,)]
