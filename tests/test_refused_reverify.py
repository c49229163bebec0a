"""Refused requests judged again: exactly what verifies now is staged, once, and nothing is lost on the way."""

import base64
import fcntl
import gzip
import hashlib
import hmac
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.door import Source
from ingest.refused_directory import RefusedDirectory
from ingest.refused_request import RefusedRequest
from ingest.reverify import ReverifyLockedError, ReverifyReport, Verdicts, group_refused, judge_of, reverify
from ingest.secrets import SourceSecrets
from ingest.segment_file import SegmentFile
from ingest.source_settings import SourceSettings
from ingest.sources import Secret
from ingest.staging import Stage, StagedLine
from tests.line import Line
from tests.refused_requests import NOW, closed_segment, kept_numbers, refused, unverified
from tests.running_receiver import EVENT_FILES, staged_lines
from tests.test_staging import abandon

RIGHT, WRONG = b"right-right-right-right-right-rt", b"wrong-wrong-wrong-wrong-wrong-wr"
EVENT = json.loads(EVENT_FILES[3].read_bytes())


def event(number: int) -> bytes:
    """A genuine event, told from others by its *number*."""
    return json.dumps(EVENT | {"id": f"evt_{number}"}).encode()


def signed(number: int, body: bytes | None = None, key: bytes = RIGHT, **changes: Any) -> RefusedRequest:
    """A request that was refused under another secret, and was signed with *key*."""
    body = event(number) if body is None else body
    headers = [(b"x-webhook-signature", hmac.new(key, body, hashlib.sha256).hexdigest().encode())]
    return RefusedRequest.of(replace(unverified(number, body, headers), **changes), None)


def source(name: str = "acme", **settings: object) -> Source:
    """A source whose secret is the right one."""
    known: dict[str, object] = {"scheme": "hmac-sha256-hex", "secrets": ("env:SECRET",)}
    return Source(name, SourceSettings(**(known | settings)), SourceSecrets((Secret("env:SECRET", RIGHT),)))


def again(root: Path, *sources: Source, **options: object) -> ReverifyReport:
    """Judge what stands in `refused` under *root* again, and stage it in `stage` beside it."""
    judge = judge_of({each.name: each for each in sources or (source(),)}, None)
    return reverify(RefusedDirectory(root / "refused"), Stage(root / "stage"), judge, **options)  # type: ignore[arg-type]


def staged(root: Path) -> list[StagedLine]:
    """What stands in the stage."""
    return staged_lines(Stage(root / "stage").closed_segments())


def test_exactly_what_verifies_is_staged_and_the_rest_stays(tmp_path: Path) -> None:
    """Over several segments; what is left of each is as it was, to the byte."""
    root = tmp_path / "refused"
    first = closed_segment(root, [signed(1), signed(2, key=WRONG), signed(3)])
    second = closed_segment(root, [signed(4, key=WRONG), signed(5, key=WRONG)])
    third = closed_segment(root, [signed(6)])
    before = second.stat()
    report = again(tmp_path)
    assert report == ReverifyReport(3, 3, 0, {"acme": Verdicts(3, 3, 0)})
    assert [line.event_id for line in staged(tmp_path)] == ["evt_1", "evt_3", "evt_6"]
    assert first.read_bytes() == signed(2, key=WRONG).encode()
    assert (second.stat().st_ino, second.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not third.exists()


def test_what_is_staged_says_when_it_came_and_where_from(tmp_path: Path) -> None:
    """As the door would have staged it at the time, under a delivery id of its own."""
    closed_segment(tmp_path / "refused", [signed(1)])
    again(tmp_path)
    (line,) = staged(tmp_path)
    assert line.received_at == "2026-06-03T10:00:01.000000Z"
    assert line.detail == "reverified from refused-1"
    assert line.delivery_id != "refused-1"
    assert (line.is_delivery, line.status_code, line.outcome, line.reason) == (True, 200, "accepted", None)
    assert (line.payload, line.body_bytes) == (event(1).decode(), len(event(1)))
    assert line.body_sha256 == hashlib.sha256(event(1)).hexdigest()
    assert line.secret_name == "env:SECRET"


def test_what_fits_no_contract_is_quarantined_as_at_the_door(tmp_path: Path) -> None:
    """Its detail still names the field."""
    body = json.dumps({**EVENT, "id": "evt_1", "data": {}}).encode()
    closed_segment(tmp_path / "refused", [signed(1, body), signed(2, b"not json")])
    assert again(tmp_path).verified == 2
    contract, malformed = staged(tmp_path)
    assert (contract.outcome, contract.reason) == ("quarantined", "contract")
    assert contract.detail is not None
    assert contract.detail.startswith("data")
    assert contract.detail.endswith("; reverified from refused-1")
    assert (malformed.outcome, malformed.payload) == ("quarantined", "not json")


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    """What verified has gone, what did not is where it was."""
    closed_segment(tmp_path / "refused", [signed(1), signed(2, key=WRONG)])
    again(tmp_path)
    first = staged(tmp_path)
    assert again(tmp_path) == ReverifyReport(0, 1, 0, {"acme": Verdicts(0, 1, 0)})
    assert staged(tmp_path) == first
    assert kept_numbers(tmp_path / "refused") == [2]


def test_a_dry_run_says_the_same_and_changes_nothing(tmp_path: Path) -> None:
    """Not a file is made, not one is touched."""
    root = tmp_path / "refused"
    closed_segment(root, [signed(1), signed(2, key=WRONG), refused(3, is_redacted=True)])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    rehearsed = again(tmp_path, is_dry_run=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "stage").exists()
    assert again(tmp_path) == rehearsed == ReverifyReport(1, 1, 1, {"acme": Verdicts(1, 1, 1)})


def test_one_source_alone_can_be_judged(tmp_path: Path) -> None:
    """Requests to others stay, verify or not, and are not counted."""
    closed_segment(tmp_path / "refused", [signed(1), signed(2, source_id="other"), signed(3)])
    report = again(tmp_path, source(), source("other"), source="other")
    assert report == ReverifyReport(1, 0, 0, {"other": Verdicts(1, 0, 0)})
    assert [line.source_id for line in staged(tmp_path)] == ["other"]
    assert kept_numbers(tmp_path / "refused") == [1, 3]


def test_a_request_to_a_source_that_is_gone_stays(tmp_path: Path) -> None:
    """It may be configured again."""
    closed_segment(tmp_path / "refused", [signed(1, source_id="gone")])
    assert again(tmp_path) == ReverifyReport(0, 1, 0, {"gone": Verdicts(0, 1, 0)})


def test_the_time_of_signing_is_judged_as_of_the_receipt(tmp_path: Path) -> None:
    """However long the secret was wrong; what was too old when it came is too old for ever."""
    stripe = source(scheme="stripe")

    def sent(number: int, age: int) -> RefusedRequest:
        stamp = int((NOW + timedelta(seconds=number - age)).timestamp())
        digest = hmac.new(RIGHT, f"{stamp}.".encode() + event(number), hashlib.sha256).hexdigest()
        headers = [(b"stripe-signature", f"t={stamp},v1={digest}".encode())]
        return RefusedRequest.of(replace(unverified(number, event(number), headers), scheme=stripe.scheme), None)

    closed_segment(tmp_path / "refused", [sent(1, 299), sent(2, 301)])
    assert again(tmp_path, stripe).verified == 1
    assert kept_numbers(tmp_path / "refused") == [2]


def test_a_scheme_that_was_wrong_can_be_put_right(tmp_path: Path) -> None:
    """A signature that stood in another header than the configured one was kept all the same."""
    digest = hmac.new(RIGHT, event(1), hashlib.sha256).hexdigest().encode()
    request = unverified(1, event(1), [(b"x-acme-signature", digest)])
    closed_segment(tmp_path / "refused", [RefusedRequest.of(request, None)])
    assert again(tmp_path).still_refused == 1
    assert again(tmp_path, source(header="X-Acme-Signature")).verified == 1


def test_a_signature_over_the_url_is_judged_by_the_url_that_was_kept(tmp_path: Path) -> None:
    """Of a source whose scheme covers it."""
    hubspot = source(scheme="hubspot-v3")
    stamp = int(NOW.timestamp() * 1000)
    url = "https://hooks.example.com/webhooks/acme"
    message = b"POST" + url.encode() + event(0) + str(stamp).encode()
    digest = hmac.new(RIGHT, message, hashlib.sha256).digest()
    headers = [
        (b"x-hubspot-signature-v3", base64.b64encode(digest)),
        (b"x-hubspot-request-timestamp", str(stamp).encode()),
    ]
    request = replace(unverified(0, event(0), headers), scheme=hubspot.scheme, url=url)
    closed_segment(tmp_path / "refused", [RefusedRequest.of(request, None)])
    assert again(tmp_path, hubspot).verified == 1


@pytest.mark.parametrize("covers", ["sent", "decompressed"])
def test_compressed_bodies_and_arrays_are_taken_as_at_the_door(tmp_path: Path, covers: str) -> None:
    """Signed before or after the compression, and a line for each event."""
    plain = b"[" + event(1) + b", " + event(2) + b"]"
    sent = gzip.compress(plain)
    digest = hmac.new(RIGHT, sent if covers == "sent" else plain, hashlib.sha256).hexdigest().encode()
    request = unverified(1, sent, [(b"x-webhook-signature", digest), (b"content-encoding", b"gzip")])
    closed_segment(tmp_path / "refused", [RefusedRequest.of(request, None)])
    assert again(tmp_path, source(signature_covers=covers, arrays=True)).verified == 1
    lines = staged(tmp_path)
    assert [(line.event_id, line.is_delivery, line.position) for line in lines] == [
        ("evt_1", True, 0),
        ("evt_2", False, 1),
    ]
    assert {line.body_bytes for line in lines} == {len(sent)}


def test_what_came_with_personal_data_cannot_be_verified_and_stays(tmp_path: Path) -> None:
    """It is told apart from what is refused still; not even a signature over what is left makes it genuine."""
    body = event(1).replace(b'"customer": {', b'"customer": {"email": "ada@example.org", ', 1)
    assert body != event(1)
    request = signed(1, body)
    assert request.is_redacted
    forged = replace(signed(2), is_redacted=True)
    closed_segment(tmp_path / "refused", [request, forged])
    assert again(tmp_path) == ReverifyReport(0, 0, 2, {"acme": Verdicts(0, 0, 2)})
    assert kept_numbers(tmp_path / "refused") == [1, 2]


def test_a_source_that_verifies_nothing_now_lets_nothing_in(tmp_path: Path) -> None:
    """Its fence is the address or the path, of which nothing is kept: whoever was refused must not slip through."""
    closed_segment(tmp_path / "refused", [signed(1), signed(2, key=WRONG)])
    fenced = source(scheme={"algorithm": "none", "signed": ""}, secrets=(), allow_ips=("192.0.2.1",))
    assert again(tmp_path, fenced).still_refused == 2


def test_a_request_that_nobody_foresaw_does_not_keep_the_others_out(tmp_path: Path) -> None:
    """It stays, and the rest is judged."""
    closed_segment(tmp_path / "refused", [replace(signed(1), received_at="yesterday"), signed(2)])
    assert again(tmp_path) == ReverifyReport(1, 1, 0, {"acme": Verdicts(1, 1, 0)})
    assert kept_numbers(tmp_path / "refused") == [1]


def test_damaged_lines_stay_where_they_are(tmp_path: Path) -> None:
    """What cannot be read is not thrown away by a command that could not read it."""
    path = closed_segment(tmp_path / "refused", [signed(1)])
    damaged = b'{"delivery_id": \xff}\n'
    path.write_bytes(damaged + path.read_bytes())
    assert again(tmp_path).verified == 1
    assert path.read_bytes() == damaged


def test_segments_of_a_dead_receiver_are_judged_too(tmp_path: Path) -> None:
    """They are closed first."""
    left = SegmentFile.create(tmp_path / "refused")
    left.append(signed(1).encode())
    abandon(left)
    assert again(tmp_path).verified == 1


def test_segments_that_are_being_written_are_waited_for(tmp_path: Path) -> None:
    """A running receiver closes them soon; those that it does not close in time are left for the next pass."""
    writing = SegmentFile.create(tmp_path / "refused")
    writing.append(signed(1).encode())
    assert again(tmp_path, patience=0.1) == ReverifyReport()
    closing = threading.Timer(0.2, writing.close)
    closing.start()
    assert again(tmp_path, patience=30.0).verified == 1
    closing.join()


def test_nothing_is_made_where_nothing_was_refused(tmp_path: Path) -> None:
    """No directory, no report."""
    assert again(tmp_path) == ReverifyReport()
    assert list(tmp_path.iterdir()) == []


def test_two_do_not_judge_at_the_same_time(tmp_path: Path) -> None:
    """The second waits and says so, and gives up with a sentence that says what to do."""
    closed_segment(tmp_path / "refused", [signed(1)])
    told: list[str] = []
    with (tmp_path / "refused" / ".reverify.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ReverifyLockedError, match="run this again"):
            again(tmp_path, patience=0.2, notice=told.append)
    assert len(told) == 1
    assert staged(tmp_path) == []
    assert again(tmp_path).verified == 1


KILLED, FAILED = 7, 8


def _killed_at(moment: int, act: Callable[[], object]) -> bool:
    """Run *act* in a process that dies at its *moment*-th change of the disk; return whether it lived to the end."""
    child = os.fork()
    if child:
        ending = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert ending in {0, KILLED}
        return ending == 0
    ending = FAILED
    try:
        changes = 0
        for owner, name in ((os, "fsync"), (Path, "rename"), (Path, "unlink")):
            real = getattr(owner, name)

            def dying(*arguments: Any, real: Callable[..., Any] = real, **options: Any) -> Any:
                nonlocal changes
                changes += 1
                if changes == moment:
                    os._exit(KILLED)
                return real(*arguments, **options)

            setattr(owner, name, dying)
        act()
        ending = 0
    finally:
        # Not one step of the test itself may be taken twice.
        os._exit(ending)


def test_killed_anywhere_it_loses_nothing_and_stages_twice_at_worst(tmp_path: Path) -> None:
    """After the next pass every request is staged or still kept."""
    everything = [*(signed(number) for number in range(1, 5)), signed(5, key=WRONG)]
    moment = 0
    is_over = False
    while not is_over:
        moment += 1
        root = tmp_path / str(moment)
        closed_segment(root / "refused", [everything[0], everything[1], everything[4]])
        closed_segment(root / "refused", everything[2:4])
        is_over = _killed_at(moment, lambda root=root: again(root))  # type: ignore[misc]
        again(root)
        assert {line.event_id for line in staged(root)} == {f"evt_{number}" for number in range(1, 5)}
        assert len(staged(root)) <= 6
        assert kept_numbers(root / "refused") == [5]
        assert not list((root / "refused").glob("*.rewriting"))
    assert moment > 8
    assert len(staged(root)) == 4


def test_staged_twice_it_is_loaded_once_and_everything_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails between staging and rewriting: the second pass brings duplicates, and the ledger closes."""
    line = Line(tmp_path)
    unknown = json.dumps(EVENT | {"id": "evt_9", "type": "gift.sent"}).encode()
    closed_segment(tmp_path / "refused", [signed(1), signed(2, key=WRONG), signed(3), signed(9, unknown)])

    def failing(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(RefusedDirectory, "rewrite", failing)
        with pytest.raises(OSError, match="No space"):
            again(tmp_path)
    assert kept_numbers(tmp_path / "refused") == [1, 2, 3, 9]
    assert again(tmp_path).verified == 3
    counts = line.load().counts
    assert (counts.received, counts.loaded, counts.duplicate, counts.quarantined) == (6, 2, 2, 2)
    status = json.loads((tmp_path / "state" / "status.json").read_text())
    assert status["sources"]["acme"]["unexplained"] == 0
    held = line.query_warehouse("select count(*) as n, min(detail) as detail from raw.deliveries")
    assert held == [{"n": 6, "detail": "reverified from refused-1"}]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    segments=st.lists(
        st.lists(st.tuples(st.sampled_from([RIGHT, WRONG]), st.sampled_from(["acme", "other"])), max_size=5), max_size=4
    ),
    only=st.sampled_from([None, "acme", "other"]),
)
def test_every_request_is_staged_once_or_kept(
    tmp_path_factory: pytest.TempPathFactory, segments: list[list[tuple[bytes, str]]], only: str | None
) -> None:
    """Whichever verify and whichever are asked for, none is both, and none is neither."""
    root = tmp_path_factory.mktemp("reverify")
    genuine: list[int] = []
    others: list[int] = []
    number = 0
    for segment in segments:
        requests = []
        for key, name in segment:
            number += 1
            requests.append(signed(number, key=key, source_id=name))
            (genuine if key is RIGHT and only in {None, name} else others).append(number)
        if requests:
            closed_segment(root / "refused", requests)
    report = again(root, source(), source("other"), source=only)
    assert [line.event_id for line in staged(root)] == [f"evt_{each}" for each in genuine]
    assert kept_numbers(root / "refused") == others
    assert report.verified == len(genuine)


def test_groups_say_what_was_refused_and_what_would_verify(tmp_path: Path) -> None:
    """By source and reason; without a judge, nothing is said of what would verify."""
    unsigned = signed(5, reason="missing_signature")
    closed_segment(tmp_path, [signed(3), signed(1, key=WRONG), signed(2), refused(4, is_redacted=True), unsigned])
    requests = list(RefusedDirectory(tmp_path).requests())
    first, second = group_refused(requests, judge_of({"acme": source()}, None))
    assert (first.source_id, first.reason, second.reason) == ("acme", "bad_signature", "missing_signature")
    assert (first.requests, first.verifiable, first.unverifiable) == (4, 2, 1)
    assert first.body_bytes == 3 * len(event(1)) + 2
    assert (first.first_received_at[11:19], first.last_received_at[11:19]) == ("10:00:01", "10:00:04")
    assert (second.requests, second.verifiable, second.unverifiable) == (1, 1, 0)
    assert [group.verifiable for group in group_refused(requests, None)] == [None, None]
    assert group_refused([], None) == []
