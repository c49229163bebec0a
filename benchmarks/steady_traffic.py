"""Traffic at a steady rate: events in their order, each signed and posted as a platform would, and when that was."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from benchmarks.kept_connections import KeptConnections
from benchmarks.mart_reader import Probe
from models.reading import read_event
from sending.answer import Answer
from sending.clock import SystemClock
from sending.delivery import Delivery
from sending.policy import Policy, State, Verdict
from sending.sender import Sender
from sending.signing import Signer

_CONNECTIONS = 64
"""So that a slow answer holds nothing up: at 500 a second they are enough for answers of an eighth of a second."""


class SteadyTraffic:
    """
    Posts to one source; what is answered 429 or 5xx, or not at all, is tried again as a platform would.

    Attributes:
        posts: By event id, in the order of their first attempts.
        troubles: Answers other than 2xx, and attempts without an answer, by kind.
    """

    def __init__(self, port: int, source: str, signer: Signer, clock: Callable[[], float]) -> None:
        self.posts: dict[str, Probe] = {}
        self.troubles: Counter[str] = Counter()
        self._client = KeptConnections(port, f"/webhooks/{source}")
        self._signer = signer
        self._clock = clock
        self._policy = Policy()

    async def post(self, deliveries: Iterable[Delivery], rate: float) -> None:
        """Return once each is acknowledged or given up; *rate* a second begin, where there are answers."""
        sender = Sender(
            self._attempt, self._policy, SystemClock(), observe=self._observe, connections=_CONNECTIONS, rate=rate
        )
        try:
            await sender.send(deliveries)
        finally:
            self._client.close()

    def acknowledged(self) -> list[str]:
        """The ids of the events that were answered 2xx."""
        return [event_id for event_id, probe in self.posts.items() if probe.acknowledged_at is not None]

    async def _attempt(self, delivery: Delivery) -> Answer:
        headers = self._signer.headers(delivery.body, delivery.event_id, datetime.now(UTC), url=self._client.url)
        self.posts.setdefault(delivery.event_id, Probe(self._clock()))
        return await self._client.post(delivery.body, headers, self._policy.timeout_seconds)

    def _observe(self, delivery: Delivery, answer: Answer, verdict: Verdict) -> None:
        if verdict.state is State.delivered:
            self.posts[delivery.event_id].acknowledged_at = self._clock()
        else:
            self.troubles[answer.error or str(answer.status_code)] += 1


def deliveries_of(bodies: Iterable[bytes]) -> list[Delivery]:
    """What to post of events, one each; made before, because reading them takes as long as posting them."""
    found = []
    for body in bodies:
        event_id = read_event(body).event_id
        found.append(Delivery(event_id, event_id, body))
    return found
