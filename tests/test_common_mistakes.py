"""The six classic mistakes of webhook receivers, and that none of them is made here."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from ingest.archive import Archive
from ingest.errors import SettingsError
from ingest.secrets import resolve_secrets
from ingest.settings import load_settings
from ingest.staging import Stage
from pipelines.duckdb_warehouse import DuckDBWarehouse
from pipelines.load import Loader
from tests.running_receiver import CONFIGURATION, EVENT_FILES, ROOT, SECRET, RunningReceiver, signature, until

EVENT = orjson.loads(EVENT_FILES[3].read_bytes())
BODY = orjson.dumps(EVENT)
HOLDER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""
"""Holds a warehouse until its input ends."""


class Line:
    """A receiver, and the loader and warehouse behind it."""

    def __init__(self, directory: Path, receiver: RunningReceiver) -> None:
        self.directory = directory
        self.receiver = receiver
        self.database = directory / "var" / "warehouse.duckdb"
        self._loader = Loader(
            Stage(directory / "var" / "stage"),
            directory / "var" / "archive",
            DuckDBWarehouse(self.database, patience=5),
            directory / "var" / "state",
        )

    def load(self) -> None:
        """Load what has been staged; the receiver goes on."""
        until(lambda: not self.receiver.stage.live_segments())
        self._loader.load()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows from the warehouse."""
        with duckdb.connect(self.database, read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with RunningReceiver(tmp_path) as receiver:
        yield Line(tmp_path, receiver)


def test_we_do_not_process_before_we_verify(line: Line) -> None:
    """Of what was not proven genuine, not even an id gets into the stage or the warehouse, whatever it looks like."""
    forged = orjson.dumps(EVENT | {"id": "evt_forged"})
    later = orjson.dumps(EVENT | {"id": "evt_later"})
    for headers in ({}, signature(forged, "f" * 32), signature(BODY)):
        assert line.receiver.post(forged, headers).status_code == 401
    assert line.receiver.post(later).status_code == 200
    staged = line.receiver.stage
    line.load()
    assert staged.closed_segments() == []
    archived = b"".join(
        each.encode() for segment in Archive(line.directory / "var" / "archive").segments() for each in segment.lines()
    )
    assert b"evt_later" in archived
    assert b"evt_forged" not in archived
    assert line.rows("select event_id from raw.conversion_events") == [("evt_later",)]
    assert line.rows("select count(*) from raw.quarantined_events") == [(0,)]


def test_we_do_not_parse_before_the_hmac(line: Line) -> None:
    """The signature is over the bytes as they came: another spelling of the same event has another signature."""
    spelled = [
        BODY,
        orjson.dumps(EVENT, option=orjson.OPT_INDENT_2),
        orjson.dumps(EVENT, option=orjson.OPT_SORT_KEYS),
        b" \r\n" + BODY + b"\n",
        BODY.replace(b'"type"', b'"\\u0074ype"'),
    ]
    for number, body in enumerate(spelled):
        assert line.receiver.post(body).status_code == 200
        for other in spelled[:number] + spelled[number + 1 :]:
            assert line.receiver.post(body, signature(other)).status_code == 401
    broken = b"{not even JSON"
    assert line.receiver.post(broken, signature(broken, "f" * 32)).status_code == 401
    assert line.receiver.post(broken).json()["status"] == "quarantined"


def test_we_do_not_block_the_answer(line: Line) -> None:
    """While somebody else holds the warehouse, events are answered as ever; they are loaded once it is free."""
    assert line.receiver.post(orjson.dumps(EVENT | {"id": "evt_before"})).status_code == 200
    line.load()
    command = [sys.executable, "-c", HOLDER, str(line.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(duckdb.IOException):
            line.rows("select 1")
        for number in range(20):
            assert line.receiver.post(orjson.dumps(EVENT | {"id": f"evt_{number}"})).status_code == 200
        process.communicate()
    line.load()
    assert line.rows("select count(*) from raw.conversion_events") == [(21,)]


def test_we_do_not_ignore_duplicates(line: Line) -> None:
    """An event that comes again, in the same batch or a later one, is acknowledged, counted, and there once."""
    for _ in range(3):
        assert line.receiver.post(BODY).status_code == 200
    line.load()
    assert line.receiver.post(BODY).status_code == 200
    assert line.receiver.post(orjson.dumps(EVENT, option=orjson.OPT_INDENT_2)).status_code == 200
    line.load()
    assert line.rows("select event_id, count(*) from raw.conversion_events group by all") == [(EVENT["id"], 1)]
    assert line.rows("select sum(received), sum(loaded), sum(duplicate) from raw.loads") == [(5, 1, 4)]
    assert line.rows("select count(*) from raw.deliveries where status_code = 200") == [(5,)]


def test_we_have_no_hard_coded_secret(tmp_path: Path) -> None:
    """A secret is what this installation says it is, and never what the configuration or the program holds."""
    with RunningReceiver(tmp_path, environ={"ACME_SECRET": "another secret, of 32 bytes or more"}) as receiver:
        assert receiver.post(BODY).status_code == 401
        assert receiver.post(BODY, signature(BODY, "another secret, of 32 bytes or more")).status_code == 200
    path = tmp_path / "hookmart.toml"
    for wrong in (SECRET, f"text:{SECRET}", ""):
        path.write_text(CONFIGURATION.replace("env:ACME_SECRET", wrong), encoding="utf-8")
        with pytest.raises(SettingsError) as refused:
            load_settings(path, {})
        assert SECRET not in str(refused.value)
    path.write_text(CONFIGURATION, encoding="utf-8")
    for weak in ({}, {"ACME_SECRET": ""}, {"ACME_SECRET": "secret"}):
        with pytest.raises(SettingsError):
            resolve_secrets(load_settings(path, weak), weak)
    for source in (ROOT / "ingest").glob("*.py"):
        assert SECRET not in source.read_text(encoding="utf-8")


def test_we_leave_no_failure_unmonitored(line: Line) -> None:
    """Each is a row of the warehouse with its reason, and a series that an alarm can watch; what was kept is there."""
    post = line.receiver.post
    unknown = orjson.dumps(EVENT | {"type": "conversion.imagined"})
    assert post(BODY).status_code == 200
    assert post(unknown).status_code == 200
    assert post(b"{broken").status_code == 200
    assert post(BODY, {}).status_code == 401
    assert post(BODY, signature(BODY, "f" * 32)).status_code == 401
    assert post(BODY, source="nobody").status_code == 404
    assert post(bytes(2_000_000)).status_code == 413
    assert post(BODY, {"Content-Encoding": "br"}).status_code == 415
    assert line.receiver.client.put("/webhooks/acme").status_code == 405
    expected = {
        ("acme", 200, "accepted", None),
        ("acme", 200, "quarantined", "unknown_type"),
        ("acme", 200, "quarantined", "malformed_json"),
        ("acme", 401, "refused", "missing_signature"),
        ("acme", 401, "refused", "bad_signature"),
        ("-", 404, "refused", "unknown_source"),
        ("acme", 413, "refused", "body_too_large"),
        ("acme", 415, "refused", "unknown_content_encoding"),
        ("acme", 405, "refused", "wrong_method"),
    }
    counted = line.receiver.figures().all("requests_total", "source", "status", "outcome", "reason")
    assert counted == {
        (source.strip("-"), str(status_code), outcome, reason or ""): 1
        for source, status_code, outcome, reason in expected
    }
    until(lambda: len(line.receiver.staged()) == len(expected))
    line.load()
    recorded = line.rows("select source_id, status_code, outcome, reason from raw.deliveries")
    assert (set(recorded), len(recorded)) == (expected, len(expected))
    assert line.rows("select reason from raw.quarantined_events order by 1") == [("malformed_json",), ("unknown_type",)]
    assert line.rows("select sum(received - loaded - duplicate - quarantined - refused) from raw.loads") == [(0,)]
