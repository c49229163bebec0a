"""HTTP that is none: whatever is written to its port, the receiver goes on, and the next good event is accepted."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzed_receiver import DOCUMENTED, EVENT, Fuzzed
from tests.preset_senders import CONFIGURATION, ENVIRON, signed_headers
from tests.raw_http import Connection, chunked, request_head
from tests.running_receiver import RunningReceiver

_PATIENCE_SECONDS = 0.15
_SIGNED = signed_headers("github", EVENT, "")
_LENGTH = ("Content-Length", str(len(EVENT)))
_CHUNKED = ("Transfer-Encoding", "chunked")
_GOOD = request_head("/webhooks/github", [*_SIGNED, _LENGTH]) + EVENT


def _head(*headers: tuple[str, str]) -> bytes:
    return request_head("/webhooks/github", [*_SIGNED, *headers])


BROKEN: dict[str, bytes] = {
    "nothing but line ends": b"\r\n" * 100,
    "a word": b"GET\r\n\r\n",
    "no version": b"POST /webhooks/github\r\n\r\n",
    "no path": b"POST  HTTP/1.1\r\n\r\n",
    "an unknown version": _GOOD.replace(b"HTTP/1.1", b"HTTP/9.9", 1),
    "HTTP/0.9": b"GET /webhooks/github\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "TLS": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(range(160)),
    "zeros": b"\0" * 10_000,
    "an unknown method": _GOOD.replace(b"POST", b"P\xc3\x96ST", 1),
    "a path that is not ASCII": _GOOD.replace(b"/webhooks/", b"/web\xc3\xb6\xff/", 1),
    "a source that is not ASCII": _GOOD.replace(b"/github", b"/github\xff", 1),
    "a path of escapes": _GOOD.replace(b"/github", b"/%00%ff%fe%u1234%", 1),
    "a path with dots": _GOOD.replace(b"/webhooks", b"/../webhooks/..", 1),
    "a whole URL": _GOOD.replace(b" /webhooks", b" http://other.test/webhooks", 1),
    "a URL of nothing": _GOOD.replace(b"/webhooks/github", b"http://", 1),
    "a port that is none": _GOOD.replace(b" /webhooks", b" http://other.test:99999999/webhooks", 1),
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT receiver.test:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long line": b"POST /webhooks/" + b"x" * 65_536 + b" HTTP/1.1\r\n\r\n",
    "a header without a colon": _head(("X", "1")).replace(b"X: 1", b"X 1"),
    "a header without a name": _head(("X", "1")).replace(b"X: 1", b": 1"),
    "space before the colon": _head(("X", "1"), _LENGTH).replace(b"X: 1", b"X : 1") + EVENT,
    "a folded header": _head(("X", "1\r\n 2"), _LENGTH) + EVENT,
    "a NUL in a header": _head(("X", "\0"), _LENGTH) + EVENT,
    "a bare line end in a header": _head(("X", "1\n2"), _LENGTH) + EVENT,
    "a header of 64 KB": _head(("X", "x" * 65_536), _LENGTH) + EVENT,
    "a name of 64 KB": _head(("X" * 65_536, "1"), _LENGTH) + EVENT,
    "thousands of headers": _head(*((f"X-{number}", "1") for number in range(5_000)), _LENGTH) + EVENT,
    "two lengths": _head(_LENGTH, ("Content-Length", "1")) + EVENT,
    "a negative length": _head(("Content-Length", "-1")) + EVENT,
    "a length of letters": _head(("Content-Length", "0x10")) + EVENT,
    "a length beyond counting": _head(("Content-Length", "9" * 40)) + EVENT,
    "a length that is too short": _head(("Content-Length", "10")) + EVENT,
    "a length and chunks": _head(_LENGTH, _CHUNKED) + chunked(EVENT),
    "an unknown transfer encoding": _head(("Transfer-Encoding", "gzip")) + EVENT,
    "chunked twice": _head(("Transfer-Encoding", "chunked, chunked")) + chunked(EVENT),
    "a chunk size of letters": _head(_CHUNKED) + b"zz\r\n" + EVENT,
    "a negative chunk size": _head(_CHUNKED) + b"-1\r\n" + EVENT,
    "a chunk size beyond counting": _head(_CHUNKED) + b"f" * 40 + b"\r\n" + EVENT,
    "a chunk that is longer than it says": _head(_CHUNKED) + b"5\r\n" + EVENT,
    "a chunk with an extension": _head(_CHUNKED) + b"1;" + b"x" * 60_000 + b"\r\n{\r\n0\r\n\r\n",
    "trailers": _head(_CHUNKED) + chunked(EVENT)[:-2] + b"X-Hub-Signature-256: x\r\n\r\n",
    "an expectation that nobody has": _head(("Expect", "a miracle"), _LENGTH) + EVENT,
    "a WebSocket": _head(("Connection", "Upgrade"), ("Upgrade", "websocket"), _LENGTH) + EVENT,
    "a good one, and rubbish behind it": _GOOD + b"\0\1\2 rubbish\r\n\r\n",
    "two good ones, and half of a third": _GOOD + _GOOD + _GOOD[:100],
    "a hundred good ones": _GOOD * 100,
}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """One receiver for all: what one of them breaks, the next would meet."""
    root = tmp_path_factory.mktemp("broken")
    with RunningReceiver(root, CONFIGURATION + "[receiver]\nbody_seconds = 1.0\n", environ=ENVIRON) as receiver:
        yield Fuzzed(receiver)


def _statuses(receiver: RunningReceiver, sent: bytes) -> set[int]:
    """The statuses of all answers to *sent*, until the receiver closes the connection or says no more."""
    with Connection(receiver.url) as connection:
        connection._socket.settimeout(_PATIENCE_SECONDS)
        found = set()
        with suppress(EOFError, OSError):
            connection.send(sent)
            while True:
                found.add(connection.answer().status_code)
        return found


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_broken_http_does_not_stop_the_receiver(fuzzed: Fuzzed, sent: bytes) -> None:
    """It gets a documented answer, if any; afterwards a good event is accepted, and nothing unforeseen is logged."""
    assert _statuses(fuzzed.receiver, sent) <= DOCUMENTED
    fuzzed.assert_unharmed()


@st.composite
def _spoilt_requests(draw: st.DrawFn) -> bytes:
    """Two good requests on one connection, in which bytes are changed, left out and put in."""
    sent = _GOOD + _GOOD
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(_GOOD) - len(EVENT) + 20))
        end = begin + draw(st.integers(0, 8))
        sent = sent[:begin] + draw(st.binary(max_size=8)) + sent[end:]
    return sent


def test_no_change_of_a_good_request_stops_the_receiver(fuzzed: Fuzzed) -> None:
    """Wherever request line or headers are spoilt, the answers are documented ones, and the next event is accepted."""

    @given(sent=_spoilt_requests())
    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def spoil(sent: bytes) -> None:
        assert _statuses(fuzzed.receiver, sent) <= DOCUMENTED

    spoil()
    fuzzed.assert_unharmed()


def test_a_request_that_comes_byte_by_byte_is_accepted(fuzzed: Fuzzed) -> None:
    """A slow line is no fault; others are served meanwhile."""
    with Connection(fuzzed.receiver.url) as connection:
        for number in range(len(_GOOD) - 300):
            connection._socket.sendall(_GOOD[number : number + 1])
            if number % 300 == 0:
                fuzzed.assert_unharmed()
        connection._socket.sendall(_GOOD[-300:])
        assert connection.answer().status_code == 200


def test_senders_that_stop_in_the_middle_hold_up_nobody(fuzzed: Fuzzed) -> None:
    """Two hundred that wrote half a head or half a body: the bodies are answered 503 in the end, others 200 at once."""
    halves = [_GOOD[:200], _GOOD[:-200]] * 100
    connections = [Connection(fuzzed.receiver.url) for _ in halves]
    try:
        for connection, half in zip(connections, halves, strict=True):
            connection._socket.sendall(half)
        fuzzed.assert_unharmed()
        assert {connection.answer().status_code for connection in connections[1::2]} == {503}
    finally:
        for connection in connections:
            connection._socket.close()
    fuzzed.assert_unharmed()


def test_the_half_of_a_request_behind_a_whole_one_is_answered_503_in_the_end(fuzzed: Fuzzed) -> None:
    """Written in one go: the first is accepted, and the second is not waited for longer than any other."""
    with Connection(fuzzed.receiver.url) as connection:
        connection.send(_GOOD + _GOOD[:-200])
        assert connection.answer().status_code == 200
        assert connection.answer().status_code == 503


def test_senders_that_leave_before_their_answers_leave_no_trace_but_their_events(fuzzed: Fuzzed) -> None:
    """With one request under way, or several one behind the other: nothing fails that was not foreseen."""
    for number in range(100):
        connection = Connection(fuzzed.receiver.url)
        connection.send(_GOOD * (1 + number % 4))
        connection.reset()
    fuzzed.assert_unharmed()


def test_an_offer_of_another_protocol_is_declined_and_the_event_taken(fuzzed: Fuzzed) -> None:
    """Some HTTP clients offer HTTP/2 with each request on a new connection: it is answered as if they had not."""
    offers = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAEAAEAAAAIAAAAB")]
    with Connection(fuzzed.receiver.url) as connection:
        connection.send(_head(*offers, _LENGTH) + EVENT)
        assert connection.answer().status_code == 200
        connection.send(_GOOD)
        assert connection.answer().status_code == 200
    with Connection(fuzzed.receiver.url) as connection:
        connection.send(_head(*offers, _LENGTH), EVENT)
        assert connection.answer().status_code == 200
