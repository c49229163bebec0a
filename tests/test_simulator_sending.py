"""From programme to requests: what the receiver gets to see, in what order, how signed, and how often."""

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import pytest

from simulator.delivery import Faults, Post, deliveries
from simulator.programme import ProgrammeSize, play_programme
from simulator.sender import SendReport, send

SECRET = b"0123456789abcdef0123456789abcdef"
EVENTS = list(play_programme(1, ProgrammeSize(events=300, partners=3), datetime(2026, 11, 15, tzinfo=UTC)))
NO_FAULTS = Faults(duplicates=0, disorder=0)
MANY_FAULTS = Faults(duplicates=0.1, disorder=20, unknown_types=0.03, bad_signatures=0.02)
AT_ONCE = (0.0, 0.0, 0.0)


def test_without_faults_every_event_is_posted_once_in_its_order() -> None:
    """A perfect network is the plain case: the posts are the events."""
    posts = deliveries(EVENTS, NO_FAULTS, seed=1)
    assert [(post.event_id, post.body) for post in posts] == [(event.event_id, event.body) for event in EVENTS]


def test_the_same_seed_makes_the_same_posts_and_another_seed_others() -> None:
    """Faults are part of what can be played again."""
    assert deliveries(EVENTS, MANY_FAULTS, seed=1) == deliveries(EVENTS, MANY_FAULTS, seed=1)
    assert deliveries(EVENTS, MANY_FAULTS, seed=1) != deliveries(EVENTS, MANY_FAULTS, seed=2)


def test_what_is_genuine_and_known_is_exactly_the_programme() -> None:
    """No fault loses an event or changes its bytes, and no impostor uses the id of a real one."""
    posts = deliveries(EVENTS, MANY_FAULTS, seed=1)
    truth = {event.event_id: event.body for event in EVENTS}
    assert {post.event_id: post.body for post in posts if post.is_genuine and post.is_known} == truth
    assert all(json.loads(post.body)["id"] == post.event_id for post in posts)


def test_each_fault_occurs_as_often_as_asked() -> None:
    """The shares are of the number of events, and come on top of them."""
    posts = deliveries(EVENTS, MANY_FAULTS, seed=1)
    assert sum(post.is_duplicate for post in posts) == round(len(EVENTS) * 0.1)
    assert sum(not post.is_known for post in posts) == round(len(EVENTS) * 0.03)
    assert sum(not post.is_genuine for post in posts) == round(len(EVENTS) * 0.02)


def test_a_duplicate_follows_the_first_post_of_its_event() -> None:
    """The later of two is the duplicate, however far disorder has moved them."""
    seen = set()
    for post in deliveries(EVENTS, Faults(duplicates=1.0, disorder=200), seed=1):
        assert post.is_duplicate == (post.event_id in seen)
        seen.add(post.event_id)


def test_disorder_moves_posts_no_further_than_asked() -> None:
    """The order is broken, but nothing is more than the window away from its turn."""
    posts = deliveries(EVENTS, Faults(duplicates=0, disorder=20), seed=1)
    turns = {event.event_id: turn for turn, event in enumerate(EVENTS)}
    moved = [abs(place - turns[post.event_id]) for place, post in enumerate(posts)]
    assert 0 < max(moved) <= 20


@pytest.mark.parametrize("faults", [{"duplicates": 1.5}, {"unknown_types": -0.1}, {"disorder": -1}])
def test_faults_that_cannot_be_are_refused(faults: dict[str, Any]) -> None:
    """A share is from 0 to 1; percentages are a likely slip."""
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        Faults(**faults)


class Receiver:
    """A small real HTTP server that verifies signatures and may be busy for the first attempts of each post."""

    def __init__(self, busy: int = 0, busy_with: int = 503) -> None:
        self.attempts: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self._lock = Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                code, answer = receiver.answer(body, self.headers["X-Webhook-Signature"], busy, busy_with)
                if code == 0:
                    self.close_connection = True
                    return
                content = json.dumps({"status": answer}).encode()
                self.send_response(code)
                self.send_header("content-length", str(len(content)))
                self.send_header("retry-after", "0")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/demo"

    def answer(self, body: bytes, signature: str, busy: int, busy_with: int) -> tuple[int, str]:
        event = json.loads(body)
        with self._lock:
            self.attempts[event["id"]] += 1
            if self.attempts[event["id"]] <= busy:
                return busy_with, "busy"
            if not hmac.compare_digest(hmac.new(SECRET, body, hashlib.sha256).hexdigest(), signature):
                return 401, ""
            self.bodies.append(body)
            return 200, "quarantined" if event["type"] == "partner.badge_awarded" else "accepted"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    running: list[Receiver] = []

    def start(**options: int) -> Receiver:
        running.append(Receiver(**options))
        return running[-1]

    yield start
    for receiver in running:
        receiver.close()


def post_all(receiver: Receiver, posts: list[Post], **options: Any) -> SendReport:
    return asyncio.run(send(receiver.url, SECRET, posts, ladder=AT_ONCE, **options))


def test_every_post_arrives_signed_and_is_counted_by_what_became_of_it(receive: Callable[..., Receiver]) -> None:
    """Genuine posts verify, unknown types are quarantined, impostors are refused, duplicates arrive twice."""
    receiver = receive()
    posts = deliveries(EVENTS, MANY_FAULTS, seed=1)
    report = post_all(receiver, posts)
    forged = sum(not post.is_genuine for post in posts)
    unknown = sum(not post.is_known for post in posts)
    assert (report.accepted, report.quarantined, report.refused) == (len(posts) - forged - unknown, unknown, forged)
    assert report.by_status == {200: len(posts) - forged, 401: forged}
    assert report.duplicates == len(receiver.bodies) - len(set(receiver.bodies)) == round(len(EVENTS) * 0.1)
    assert set(receiver.bodies) >= {event.body for event in EVENTS}
    assert (report.sent, report.undelivered, report.retries) == (len(posts), 0, 0)


@pytest.mark.parametrize("busy_with", [429, 502, 503, 504])
def test_a_busy_receiver_is_tried_again_until_it_accepts(receive: Callable[..., Receiver], busy_with: int) -> None:
    """After two busy answers to each post, everything is accepted, once."""
    receiver = receive(busy=2, busy_with=busy_with)
    posts = deliveries(EVENTS[:20], NO_FAULTS, seed=1)
    report = post_all(receiver, posts)
    assert (report.accepted, report.retries) == (20, 40)
    assert report.by_status == {busy_with: 40, 200: 20}
    assert sorted(receiver.bodies) == sorted(post.body for post in posts)


def test_a_connection_cut_without_an_answer_is_tried_again(receive: Callable[..., Receiver]) -> None:
    """No answer proves nothing, so the same bytes go out once more."""
    receiver = receive(busy=1, busy_with=0)
    report = post_all(receiver, deliveries(EVENTS[:20], NO_FAULTS, seed=1))
    assert (report.accepted, report.retries, report.errors.total()) == (20, 20, 20)


def test_a_post_is_given_up_after_the_last_rung(receive: Callable[..., Receiver]) -> None:
    """The ladder ends: what was never taken is counted as undelivered."""
    report = post_all(receive(busy=99), deliveries(EVENTS[:3], NO_FAULTS, seed=1))
    assert (report.undelivered, report.accepted, report.retries) == (3, 0, 3 * len(AT_ONCE))


@pytest.mark.parametrize("code", [400, 404, 413, 500])
def test_an_answer_that_will_not_change_is_not_asked_for_again(receive: Callable[..., Receiver], code: int) -> None:
    """A 4xx is refused and any other answer undelivered, each after a single attempt."""
    receiver = receive(busy=99, busy_with=code)
    report = post_all(receiver, deliveries(EVENTS[:5], NO_FAULTS, seed=1))
    assert set(receiver.attempts.values()) == {1}
    assert (report.refused, report.undelivered) == ((0, 5) if code == 500 else (5, 0))


def test_one_connection_keeps_the_order(receive: Callable[..., Receiver]) -> None:
    """With a single connection nothing overtakes."""
    receiver = receive()
    posts = deliveries(EVENTS[:50], NO_FAULTS, seed=1)
    post_all(receiver, posts, connections=1, rate=5000.0)
    assert receiver.bodies == [post.body for post in posts]


def test_progress_is_told_after_every_post(receive: Callable[..., Receiver]) -> None:
    """A caller can draw a bar: the count grows by one to the number of all."""
    told: list[tuple[int, int]] = []
    posts = deliveries(EVENTS[:30], NO_FAULTS, seed=1)
    post_all(receive(), posts, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 30) for done in range(1, 31)]


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("ftp://127.0.0.1/x", {}),
        ("127.0.0.1:8000/webhooks/demo", {}),
        ("http://127.0.0.1/x", {"connections": 0}),
        ("http://127.0.0.1/x", {"rate": 0.0}),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused(url: str, options: dict[str, Any]) -> None:
    """A wrong address, no connections or no rate is told at once, before anything is sent."""
    with pytest.raises(ValueError, match=r"address|connection"):
        asyncio.run(send(url, SECRET, [], **options))
