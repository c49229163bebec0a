"""The fast lane and the ordinary way: the same request gets the same answer and leaves the same lines."""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.raw_http import Connection, RawAnswer, chunked, request_head
from tests.running_receiver import CONFIGURATION, EVENT_FILES, SECRET, RunningReceiver, signature, until

TOKEN = "t" * 32
EVENT = EVENT_FILES[2].read_bytes()
OTHER = EVENT_FILES[3].read_bytes()
MANY_SOURCES = (
    CONFIGURATION
    + """
max_body_bytes = 20000

[receiver]
body_seconds = 1.0

[sources.batches]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
arrays = true

[sources.unpacked]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
signature_covers = "decompressed"
max_decompressed_bytes = 50000

[sources.fenced]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
allow_ips = ["192.0.2.0/24"]

[sources.tokened]
scheme = "bearer"
secrets = ["env:ACME_SECRET"]
path_token = "env:ACME_TOKEN"
"""
)
# The lane has no other trace: what it did must look like what the ordinary way does.
COUNTED = """
from ingest.receiver import Receiver
_take = Receiver.take
def take(*arguments):
    with open("{tally}", "ab") as file:
        file.write(b".")
    if (b"x-fault", b"1") in arguments[1]["headers"]:
        raise RuntimeError
    _take(*arguments)
Receiver.take = take
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of request.

    Attributes:
        status_code: Of the answer that it gets.
        lines: That it leaves in the stage.
    """

    name: str
    status_code: int
    body: bytes = EVENT
    headers: tuple[tuple[str, str], ...] = ()
    path: str = "/webhooks/acme"
    method: str = "POST"
    lines: int = 1


def signed(body: bytes, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers of a genuine request."""
    return (*signature(body).items(), *more)


PACKED = gzip.compress(EVENT)
ARRAY = b" [" + EVENT + b" ,\n" + OTHER + b', {"id": 1}]\n'
GZIP = ("Content-Encoding", "gzip")
BEARER = ("Authorization", f"bearer {SECRET}")
KINDS = [
    Kind("accepted", 200, headers=signed(EVENT)),
    Kind("accepted, other headers", 200, headers=(("Cookie", "a=b"), *signed(EVENT, ("Content-Type", "text/plain")))),
    Kind("accepted, with a query", 200, headers=signed(EVENT), path="/webhooks/acme?a=b&c=%20"),
    Kind("accepted, with connection options", 200, headers=signed(EVENT, ("Connection", "keep-alive, TE"))),
    Kind("quarantined", 200, b"{not json", signed(b"{not json")),
    Kind("quarantined, binary", 200, b"\x00\xff", signed(b"\x00\xff")),
    Kind("quarantined, empty", 200, b"", signed(b"")),
    Kind("quarantined array", 200, ARRAY, signed(ARRAY)),
    Kind("array", 200, ARRAY, signed(ARRAY), path="/webhooks/batches", lines=3),
    Kind("array of one", 200, b"[" + EVENT + b"]", signed(b"[" + EVENT + b"]"), path="/webhooks/batches"),
    Kind("empty array", 200, b"[]", signed(b"[]"), path="/webhooks/batches"),
    Kind("gzip", 200, PACKED, signed(PACKED, GZIP)),
    Kind("gzip of an array", 200, gzip.compress(ARRAY, mtime=0), signed(gzip.compress(ARRAY, mtime=0), GZIP),
         path="/webhooks/batches", lines=3),
    Kind("gzip, signed before", 200, PACKED, signed(EVENT, GZIP), path="/webhooks/unpacked"),
    Kind("broken gzip", 400, PACKED[:-1], signed(PACKED[:-1], GZIP)),
    Kind("broken gzip, signed before", 400, PACKED[:-1], signed(EVENT, GZIP), path="/webhooks/unpacked"),
    Kind("a bomb", 413, gzip.compress(bytes(60_000)), (GZIP,), path="/webhooks/unpacked"),
    Kind("unknown encoding", 415, headers=signed(EVENT, ("Content-Encoding", "br"))),
    Kind("no signature", 401),
    Kind("another's signature", 401, headers=tuple(signature(EVENT, "f" * 32).items())),
    Kind("two signatures", 401, headers=signed(EVENT, *signed(EVENT))),
    Kind("not ASCII", 401, headers=(("X-Webhook-Signature", "\xff\xfe"),)),
    Kind("unknown source", 404, headers=signed(EVENT), path="/webhooks/nobody"),
    Kind("a slash too many", 404, headers=signed(EVENT), path="/webhooks/acme/"),
    Kind("address", 403, headers=signed(EVENT), path="/webhooks/fenced"),
    Kind("with the token", 200, headers=(BEARER,), path=f"/webhooks/tokened/{TOKEN}"),
    Kind("with another token", 404, headers=(BEARER,), path=f"/webhooks/tokened/{TOKEN[1:]}"),
    Kind("too large", 413, bytes(20_001), signed(bytes(20_001))),
    Kind("method", 405, headers=signed(EVENT), method="PUT"),
]  # fmt: skip
GENUINE = [kind for kind in KINDS if kind.status_code == 200]


@dataclass(frozen=True, slots=True)
class Traced:
    """
    A receiver that tells which way its requests went.

    Attributes:
        tally: Grows by a byte for each in the lane.
    """

    receiver: RunningReceiver
    tally: Path

    def count(self) -> int:
        """Requests that took the lane so far."""
        return self.tally.stat().st_size


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    directory = tmp_path_factory.mktemp("receiver")
    tally = directory / "tally"
    tally.touch()
    with RunningReceiver(
        directory, MANY_SOURCES, before=COUNTED.format(tally=tally), environ={"ACME_TOKEN": TOKEN}
    ) as receiver:
        yield Traced(receiver, tally)


def whole(kind: Kind, *more: tuple[str, str], version: str = "1.1") -> bytes:
    """The request in one piece."""
    headers = (("Content-Length", str(len(kind.body))), *kind.headers, *more)
    return request_head(kind.path, headers, method=kind.method, version=version) + kind.body


def in_chunks(kind: Kind) -> bytes:
    """The request as a sender that streams would write it."""
    headers = (("Transfer-Encoding", "chunked"), *kind.headers)
    return request_head(kind.path, headers, method=kind.method) + chunked(kind.body)


def at(data: bytes, *places: int) -> list[bytes]:
    """*data*, cut at *places*, counted from its end where they are negative."""
    cuts = [0, *sorted(place % len(data) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(cuts) if start < end]


def expecting(connection: Connection, kind: Kind) -> RawAnswer:
    """The answer to a sender that asks whether it may go on before it sends the body."""
    request = whole(kind, ("Expect", "100-continue"))
    connection.send(request[: len(request) - len(kind.body)])
    answer = connection.answer()
    if answer.status_code == 100:
        connection.send(kind.body)
        answer = connection.answer()
    return answer


def exchanged(connection: Connection, segments: list[bytes]) -> RawAnswer:
    """The answer to one request, sent in *segments*."""
    connection.send(*segments)
    return connection.answer()


LANE: dict[str, Callable[[Connection, Kind], RawAnswer]] = {
    "whole": lambda connection, kind: exchanged(connection, [whole(kind)]),
    "whole, in chunks": lambda connection, kind: exchanged(connection, [in_chunks(kind)]),
}
ORDINARY: dict[str, Callable[[Connection, Kind], RawAnswer]] = {
    "head, then body": lambda connection, kind: exchanged(connection, at(whole(kind), -len(kind.body) or -4)),
    "all but a byte, then it": lambda connection, kind: exchanged(connection, at(whole(kind), -1)),
    "chunks, torn": lambda connection, kind: exchanged(connection, at(in_chunks(kind), -3)),
    "asked first": expecting,
}


def left(receiver: RunningReceiver, before: int, count: int) -> list[dict[str, Any]]:
    """The newest lines of the stage, without what differs between two requests that are the same."""
    until(lambda: len(receiver.staged()) >= before + count)
    lines = [asdict(line) for line in receiver.staged()[before:]]
    assert len({line["delivery_id"] for line in lines}) == 1
    for line in lines:
        for name in ("delivery_id", "received_at", "response_ms"):
            del line[name]
        if line["status_code"] == 413:
            del line["body_bytes"]  # as far as it was read
    return lines


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_same_request_gets_the_same_answer_whichever_way_it_goes(traced: Traced, kind: Kind) -> None:
    """Whole or torn, in chunks or announced: status, headers, body and staged lines are the same to the byte."""
    answers: list[tuple[str, RawAnswer, list[dict[str, Any]]]] = []
    for ways, takes_the_lane in ((LANE, kind.method == "POST"), (ORDINARY, False)):
        for name, send in ways.items():
            taken, lines = traced.count(), len(traced.receiver.staged())
            with Connection(traced.receiver.url) as connection:
                answer = send(connection, kind)
            answers.append((name, answer, left(traced.receiver, lines, kind.lines)))
            # Without a body, a request is whole as soon as its head is.
            assert traced.count() - taken == takes_the_lane or not kind.body, name
    _, expected, expected_lines = answers[0]
    assert (expected.status_code, len(expected_lines)) == (kind.status_code, kind.lines)
    for name, answer, lines_left in answers:
        assert (answer, lines_left) == (expected, expected_lines), name
    in_flight = traced.receiver.figures()("in_flight_bytes")
    assert in_flight == 0


@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=6),
    chunks=st.lists(st.booleans(), min_size=6, max_size=6),
    places=st.lists(st.integers(0, 1 << 20), max_size=4),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_requests_sent_ahead_are_answered_in_their_order(
    traced: Traced, kinds: list[Kind], chunks: list[bool], places: list[int]
) -> None:
    """Many requests on one connection, none waiting for an answer, cut into segments anywhere."""
    requests = [in_chunks(kind) if chunk else whole(kind) for kind, chunk in zip(kinds, chunks, strict=False)]
    before = len(traced.receiver.staged())
    with Connection(traced.receiver.url) as connection:
        connection.send(*at(b"".join(requests), *places))
        answers = [connection.answer() for _ in kinds]
    assert [answer.status_code for answer in answers] == [kind.status_code for kind in kinds]
    count = sum(kind.lines for kind in kinds)
    until(lambda: len(traced.receiver.staged()) >= before + count)
    staged = [line.status_code for line in traced.receiver.staged()[before:]]
    assert staged == [kind.status_code for kind in kinds for _ in range(kind.lines)]


def test_half_a_request_sent_ahead_does_not_wait_for_ever(traced: Traced) -> None:
    """Its time for a body runs from when it is its turn, though no further byte arrives."""
    kind = KINDS[0]
    with Connection(traced.receiver.url) as connection:
        connection.send(whole(kind) + whole(kind)[:-10])
        assert connection.answer().status_code == 200
        assert connection.answer().status_code == 503


def test_half_a_request_sent_ahead_can_be_completed(traced: Traced) -> None:
    """What follows later belongs to it."""
    kind = KINDS[0]
    with Connection(traced.receiver.url) as connection:
        connection.send(whole(kind) + whole(kind)[:-10])
        first = connection.answer()
        connection.send(whole(kind)[-10:])
        assert connection.answer() == first


@pytest.mark.parametrize("cuts", [(), (-10,)], ids=["lane", "ordinary"])
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[-5]], ids=["accepted", "refused"])
def test_a_connection_is_closed_where_the_sender_asks_for_it(traced: Traced, kind: Kind, cuts: tuple[int, ...]) -> None:
    """`Connection: close`, or HTTP/1.0, and nothing else ends a connection after its answer."""
    for request, is_last in (
        (whole(kind), False),
        (whole(kind, ("Connection", "close")), True),
        (whole(kind, version="1.0"), True),
        (whole(kind, ("Connection", "keep-alive"), version="1.0"), True),
    ):
        with Connection(traced.receiver.url) as connection:
            connection.send(*at(request, *cuts))
            answer = connection.answer()
            assert (answer.status_code, "connection" in answer.headers) == (kind.status_code, is_last)
            if is_last:
                assert answer.headers["connection"] == "close"
                assert connection.is_closed()
            else:
                connection.send(request)
                assert connection.answer() == answer


def test_what_follows_a_request_and_is_no_http_costs_that_request_nothing_durable(traced: Traced) -> None:
    """The connection is given up, the event before stays, and others are served."""
    # With an id of its own: what other tests sent and did not wait for may still be on its way.
    body = json.dumps({**json.loads(EVENT), "id": "evt_before_garbage"}).encode()
    kind = Kind("accepted", 200, body, signed(body))
    with Connection(traced.receiver.url) as connection:
        connection.send(whole(kind) + b"\x00 garbage\r\n\r\n")
        assert connection.answer().status_code == 400
        assert connection.is_closed()
    until(lambda: [line.event_id for line in traced.receiver.staged()].count("evt_before_garbage") == 1)
    assert traced.receiver.post(EVENT).status_code == 200
    assert traced.receiver.figures()("in_flight_bytes") == 0


def test_a_fault_in_one_request_costs_the_others_of_its_moment_nothing(traced: Traced) -> None:
    """Its connection is closed without an answer, which every sender takes for a reason to try again."""
    with Connection(traced.receiver.url) as faulty, Connection(traced.receiver.url) as sound:
        faulty.send(whole(KINDS[0], ("X-Fault", "1")))
        sound.send(whole(KINDS[0]))
        assert sound.answer().status_code == 200
        assert faulty.is_closed()
    assert traced.receiver.figures()("in_flight_bytes") == 0
