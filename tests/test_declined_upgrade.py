"""Requests that offer to go on in another protocol: they are served in this one, whole."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.raw_http import Connection, chunked, request_head
from tests.running_receiver import EVENT_FILES, RunningReceiver, signature

EVENT = EVENT_FILES[2].read_bytes()
JAVAS = (
    ("Connection", "Upgrade, HTTP2-Settings"),
    ("Upgrade", "h2c"),
    ("HTTP2-Settings", "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
)
WEBSOCKETS = (
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
LAST = (("Connection", "close, Upgrade"), ("Upgrade", "h2c"))
WITH_BODY = (("Content-Length", str(len(EVENT))), *signature(EVENT).items())
IN_CHUNKS = (("Transfer-Encoding", "chunked"), *signature(EVENT).items())


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReceiver]:
    with RunningReceiver(tmp_path_factory.mktemp("receiver")) as running:
        yield running


def post(*headers: tuple[str, str]) -> bytes:
    """A genuine request with *headers*."""
    if ("Transfer-Encoding", "chunked") in headers:
        return request_head("/webhooks/acme", headers) + chunked(EVENT)
    return request_head("/webhooks/acme", headers) + EVENT


@pytest.mark.parametrize("offer", [JAVAS, WEBSOCKETS], ids=["h2c", "websocket"])
@pytest.mark.parametrize("framing", [WITH_BODY, IN_CHUNKS], ids=["length", "chunks"])
def test_an_event_that_comes_with_an_offer_is_accepted(
    receiver: RunningReceiver, offer: tuple[tuple[str, str], ...], framing: tuple[tuple[str, str], ...]
) -> None:
    """Before or behind the other headers, again and again on one connection, beside requests without one."""
    with Connection(receiver.url) as connection:
        for request in (post(*offer, *framing), post(*framing, *offer), post(*framing), post(*offer, *framing)):
            connection.send(request)
            answer = connection.answer()
            assert (answer.status_code, "connection" in answer.headers) == (200, False)


@given(
    places=st.lists(st.integers(0, 3000), min_size=1, max_size=4),
    offers=st.lists(st.sampled_from([JAVAS, WEBSOCKETS, ()]), min_size=1, max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_wherever_it_is_cut_it_arrives_whole(
    receiver: RunningReceiver, places: list[int], offers: list[tuple[tuple[str, str], ...]]
) -> None:
    """Torn within its head or its body, and with others sent ahead behind it."""
    data = b"".join(post(*offer, *WITH_BODY) for offer in offers)
    cuts = [0, *sorted({place % len(data) for place in places} - {0}), len(data)]
    with Connection(receiver.url) as connection:
        connection.send(*(data[start:end] for start, end in pairwise(cuts)))
        assert [connection.answer().status_code for _ in offers] == [200] * len(offers)


def test_a_connection_that_is_to_close_closes(receiver: RunningReceiver) -> None:
    """What else stands beside the offer still holds."""
    with Connection(receiver.url) as connection:
        connection.send(post(*LAST, *WITH_BODY))
        answer = connection.answer()
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert connection.is_closed()


@pytest.mark.parametrize(("path", "status_code"), [("/webhooks/acme", 405), ("/healthz", 200), ("/nowhere", 404)])
def test_what_would_be_a_websocket_is_answered_as_the_request_it_is(
    receiver: RunningReceiver, path: str, status_code: int
) -> None:
    """There is none to be had here."""
    with Connection(receiver.url) as connection:
        connection.send(request_head(path, WEBSOCKETS, method="GET"))
        assert connection.answer().status_code == status_code


def test_an_offer_is_no_way_around_the_signature(receiver: RunningReceiver) -> None:
    """The head is read twice, and judged once."""
    before = len(receiver.staged())
    with Connection(receiver.url) as connection:
        connection.send(post(*JAVAS, *WITH_BODY[:1]))
        assert connection.answer().status_code == 401
        connection.send(post(*JAVAS, *WITH_BODY))
        assert connection.answer().status_code == 200
    assert [line.status_code for line in receiver.staged()[before:]] == [401, 200]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"CONNECT acme:443 HTTP/1.1\r\nHost: acme\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\nmore",
        b"CONNECT acme:443 HTTP/1.1\r\nHost: acme\r\n\r\nmore",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /webhooks/acme HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: x\r\n\r\n{}",
        b"POST /webhooks/acme HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\nzz",
        post(*JAVAS, *WITH_BODY[:1])[:-1] * 200,
    ],
    ids=["CONNECT with an offer", "CONNECT", "HTTP/2 at once", "no length", "no chunk", "a flood"],
)
def test_what_is_no_such_request_does_the_receiver_no_harm(receiver: RunningReceiver, request_bytes: bytes) -> None:
    """It is answered or hung up on, and the next event is accepted."""
    with Connection(receiver.url) as connection:
        connection.send(request_bytes)
        connection.reset()
    assert receiver.post(EVENT).status_code == 200
    assert "Traceback" not in receiver.log.read_text()
