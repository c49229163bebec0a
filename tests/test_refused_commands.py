"""`hookmart refused`, as a user runs it after a wrong secret."""

import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hookmart.refused import refused_app
from ingest.refused_request import RefusedRequest
from tests.refused_requests import closed_segment, kept_numbers, refused, unverified
from tests.running_receiver import EVENT_FILES, ROOT, RunningReceiver, signature
from tests.test_command_line import run, secret_of

EVENT = json.loads(EVENT_FILES[3].read_bytes())


def signed(number: int, key: bytes) -> RefusedRequest:
    """A request signed with *key*."""
    body = json.dumps(EVENT | {"id": f"evt_{number}"}).encode()
    headers = [(b"x-webhook-signature", hmac.new(key, body, hashlib.sha256).hexdigest().encode())]
    return RefusedRequest.of(unverified(number, body, headers), None)


def answer(directory: Path, *arguments: str) -> Any:
    """What a command prints as JSON."""
    return json.loads(run(directory, *arguments, "--json").stdout)


@pytest.fixture
def programme(tmp_path: Path) -> Path:
    """A directory with a configuration, and five refused requests: two genuine, two forged, one cleaned."""
    run(tmp_path, "init", "--source", "acme")
    key = secret_of(tmp_path)
    forged = [signed(number, b"another secret") for number in (3, 4)]
    closed_segment(
        tmp_path / "var" / "refused",
        [signed(1, key), *forged, replace(signed(5, key), reason="missing_signature"), refused(6, is_redacted=True)],
    )
    return tmp_path


def test_the_whole_way_after_a_wrong_secret(programme: Path) -> None:
    """List, rehearse, reverify, load: what verifies is loaded as of when it came, and nothing is unexplained."""
    first, second = answer(programme, "refused", "list")["groups"]
    assert (first["reason"], first["requests"], first["verifiable"], first["unverifiable"]) == (
        "bad_signature",
        4,
        1,
        1,
    )
    assert (second["reason"], second["requests"], second["verifiable"]) == ("missing_signature", 1, 1)
    rehearsed = answer(programme, "refused", "reverify", "--dry-run")
    assert kept_numbers(programme / "var" / "refused") == [1, 3, 4, 5, 6]
    assert answer(programme, "refused", "reverify", "--source", "acme") == rehearsed
    assert rehearsed["by_source"] == {"acme": {"verified": 2, "still_refused": 2, "unverifiable": 1}}
    assert kept_numbers(programme / "var" / "refused") == [3, 4, 6]
    answer(programme, "load")
    loaded = answer(programme, "status")["sources"]["acme"]
    assert (loaded["received"], loaded["loaded"], loaded["unexplained"]) == (2, 2, 0)
    assert loaded["last_received_at"][:10] == "2026-06-03"
    assert answer(programme, "refused", "reverify")["verified"] == 0


def test_people_are_told_what_to_do_next(programme: Path) -> None:
    """Each answer names the next step, and what can no longer be helped; an empty directory is said to be empty."""
    listed = run(programme, "refused", "list").stdout
    assert "bad_signature" in listed
    assert "hookmart refused reverify" in listed
    assert "1 cannot be verified any more" in listed
    assert "hookmart load" not in run(programme, "refused", "reverify", "--dry-run").stdout
    assert "hookmart load" in run(programme, "refused", "reverify").stdout
    for path in (programme / "var" / "refused").glob("*.jsonl"):
        path.unlink()
    assert run(programme, "refused", "list").stdout == "nothing is kept\n"
    assert run(programme, "refused", "reverify").stdout == "nothing is kept\n"


def test_every_request_can_be_listed_by_itself(programme: Path) -> None:
    """A line each, oldest first."""
    lines = run(programme, "refused", "list", "--all").stdout.splitlines()
    assert lines[0].split() == [
        "refused-1",
        "2026-06-03T10:00:01.000000Z",
        "acme",
        "bad_signature",
        lines[0].split()[-1],
    ]
    assert [line.split()[0] for line in lines] == [f"refused-{number}" for number in (1, 3, 4, 5, 6)]
    requests = answer(programme, "refused", "list", "--all")["requests"]
    assert [" ".join(map(str, each.values())) for each in requests] == [" ".join(line.split()) for line in lines]


def test_a_secret_that_is_not_set_is_said_in_a_sentence(programme: Path) -> None:
    """Nothing can be reverified without it: exit 2. What is kept can be listed, without a word on what would verify."""
    (programme / ".env").write_text("")
    failed = run(programme, "refused", "reverify", check=False)
    assert failed.returncode == 2
    assert "ACME_WEBHOOK_SECRET" in failed.stderr
    assert "Traceback" not in failed.stderr
    groups = answer(programme, "refused", "list")["groups"]
    assert [(group["requests"], group["verifiable"]) for group in groups] == [(4, None), (1, None)]


def test_an_unknown_source_is_wrong_usage(programme: Path) -> None:
    """The sentence lists those there are."""
    failed = run(programme, "refused", "reverify", "--source", "acne", check=False)
    assert failed.returncode == 2
    assert "acme" in failed.stderr


def test_every_command_helps_and_is_documented() -> None:
    """Each explains itself; README and the page on refused requests name it."""
    for command in refused_app.registered_commands:
        help_text = CliRunner().invoke(refused_app, [command.name or "", "--help"], env={"COLUMNS": "200"}).output
        assert "--config" in help_text
        assert "--json" in help_text
        for path in ("README.md", "docs/refused.md"):
            assert f"`hookmart refused {command.name}`" in (ROOT / path).read_text(encoding="utf-8")


def test_what_a_receiver_refused_under_a_wrong_secret_is_loaded_in_the_end(tmp_path: Path) -> None:
    """Over real HTTP: refused and answered 401, kept, verified by the right secret, loaded."""
    right = "right-right-right-right-right-rt"
    bodies = [json.dumps(EVENT | {"id": f"evt_{number}"}).encode() for number in range(5)]
    with RunningReceiver(tmp_path) as receiver:
        assert [receiver.post(body, signature(body, right)).status_code for body in bodies] == [401] * 5
        assert receiver.post(b"{}", {}).status_code == 401
        assert receiver.post(b"{}").status_code == 200
    assert answer(tmp_path, "refused", "list", "--all")["requests"][0]["reason"] == "bad_signature"
    (tmp_path / ".env").write_text(f"ACME_SECRET={right}\n")
    report = answer(tmp_path, "refused", "reverify")
    assert (report["verified"], report["still_refused"], report["unverifiable"]) == (5, 1, 0)
    answer(tmp_path, "load")
    loaded = answer(tmp_path, "status")["sources"]["acme"]
    counts = {name: loaded[name] for name in ("received", "loaded", "quarantined", "refused", "unexplained")}
    assert counts == {"received": 12, "loaded": 5, "quarantined": 1, "refused": 6, "unexplained": 0}
