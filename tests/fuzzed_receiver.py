"""A receiver that a test may do anything to, and what must be true of it afterwards."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import orjson
from hypothesis import strategies as st

from models.columns import EVENT_COLUMNS
from pipelines.status import read_status
from tests.event_texts import BODIES
from tests.line import Line
from tests.preset_senders import SCHEMES, signed_headers
from tests.raw_http import Connection, RawAnswer, chunked, request_head
from tests.running_receiver import EVENT_FILES, RunningReceiver

EVENT = EVENT_FILES[3].read_bytes()
_IDS = " union all ".join(f"select source_id, event_id from raw.{table}" for table in EVENT_COLUMNS)
_MISREAD = """
    select quarantined_events.detail, quarantined_events.payload
    from raw.quarantined_events
    join raw.deliveries using (delivery_id)
    where deliveries.outcome = 'accepted' and quarantined_events.position = 0
"""

DOCUMENTED = frozenset({200, 400, 401, 403, 404, 405, 413, 415})
"""The answers to what a sender does wrong or right; 429 and 503 are not his doing."""

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request before it is signed.

    Attributes:
        name: Of the preset, which is the source's as well.
        shape: How its bytes travel.
    """

    name: str
    body: bytes
    query: str
    headers: tuple[tuple[str, str], ...]
    shape: str

    @property
    def path(self) -> str:
        """With its query."""
        return f"/webhooks/{self.name}{self.query}"

    def signature(self) -> Headers:
        """As its sender signs it."""
        return signed_headers(self.name, self.body, f"http://receiver.test{self.path}")


_TOKEN_CHARACTERS = st.characters(codec="ascii", categories=["L", "N"], include_characters="-_")
_VALUE_CHARACTERS = st.characters(codec="latin-1", exclude_categories=["Cc"])
REQUESTS = st.builds(
    Request,
    name=st.sampled_from(sorted(SCHEMES)),
    body=BODIES,
    query=st.sampled_from(["", "?a=1&a=2", "?" + "x" * 2000, "?\"'<>{}|^`"]),
    headers=st.lists(
        st.tuples(
            st.text(_TOKEN_CHARACTERS, min_size=1, max_size=20).map(lambda name: f"X-Fuzz-{name}"),
            st.text(_VALUE_CHARACTERS, max_size=50),
        ),
        max_size=4,
    ).map(tuple),
    shape=st.sampled_from(["whole", "in two", "chunked"]),
)


class Fuzzed:
    """
    A receiver that hypothesis may do anything to.

    Attributes:
        statuses: How often each was answered.
        accepted: (source, event id) of all that was answered `accepted`.
    """

    def __init__(self, receiver: RunningReceiver) -> None:
        self.receiver = receiver
        self.statuses: Counter[int] = Counter()
        self.accepted: set[tuple[str, str]] = set()
        self._connection: Connection | None = None

    def send(self, request: Request, headers: Headers, *, body: bytes | None = None, method: str = "POST") -> RawAnswer:
        """Send *request* with *headers* and, where *body* is given, that for its own; return the answer."""
        sent = request.body if body is None else body
        length = ("Transfer-Encoding", "chunked") if request.shape == "chunked" else ("Content-Length", str(len(sent)))
        head = request_head(request.path, [*request.headers, *headers, length], method=method)
        payload = chunked(sent) if request.shape == "chunked" else sent
        segments = (head, payload) if request.shape == "in two" else (head + payload,)
        answer = self._answer(segments)
        self.note(answer.status_code, request.name, answer.body)
        return answer

    def note(self, status_code: int, source: str, body: bytes) -> None:
        """Remember an answer that came by another way."""
        self.statuses[status_code] += 1
        if status_code == 200:
            answer = orjson.loads(body)
            events = answer.get("events", [answer])
            self.accepted |= {(source, event["event_id"]) for event in events if event["status"] == "accepted"}

    def _answer(self, segments: tuple[bytes, ...]) -> RawAnswer:
        if self._connection is not None:
            try:
                self._connection.send(*segments)
                return self._connection.answer()
            except (EOFError, OSError):  # it was closed after the answer before
                pass
        self._connection = Connection(self.receiver.url)
        self._connection.send(*segments)
        return self._connection.answer()

    def assert_unharmed(self) -> None:
        """It serves, and nothing in it went wrong that it did not foresee."""
        headers = dict(signed_headers("github", EVENT, ""))
        answer = self.receiver.post(EVENT, headers, source="github")
        assert answer.status_code == 200
        self.note(answer.status_code, "github", answer.content)
        assert self.receiver.process.poll() is None
        assert "Traceback" not in self.receiver.log.read_text(encoding="utf-8")

    def assert_loads(self, root: Path) -> None:
        """Stop it and load: no line is lost, set aside, or read otherwise than the receiver read it."""
        self.assert_unharmed()
        self.receiver.stop()
        line = Line(root / "var")
        report = line.load()
        assert report.poisoned == ()
        assert line.query_warehouse(_MISREAD) == []
        statuses = read_status(line.root / "state").sources.values()
        assert {status.unexplained for status in statuses} == {0}
        loaded = {(row["source_id"], row["event_id"]) for row in line.query_warehouse(_IDS)}
        assert self.accepted <= loaded
        (answered,) = line.query_warehouse("select count(*) as n from raw.deliveries where status_code = 200")
        assert answered["n"] == self.statuses[200]
        assert not list(self.receiver.stage.root.glob("*.unreadable"))
