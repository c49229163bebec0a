"""How long from a POST to the published mart: an event of its own every second, and a reader who looks for it."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.soaked_line import PROBES, SECRET
from pipelines.errors import PipelineError
from pipelines.publish import CURRENT, open_published

_LOOK_SECONDS = 0.1
_DAYS_BACK = 60
_SECONDS_APART = 1.0
_SEEN = f"select conversion_id from conversions where source_id = '{PROBES}'"


@dataclass(slots=True)
class Probe:
    """
    One event, in seconds of the same clock.

    Attributes:
        posted_at: When it was first tried.
        acknowledged_at: When it was answered 200; None while it has not been.
        published_at: When a reader first found it in the mart; None while none has.
    """

    posted_at: float
    acknowledged_at: float | None = None
    published_at: float | None = None

    @property
    def lag(self) -> float | None:
        """From the answer to the mart."""
        if self.acknowledged_at is None or self.published_at is None:
            return None
        return self.published_at - self.acknowledged_at


class LagProbe:
    """Posts and reads in threads of its own, from `start` to `stop`; what has no answer is posted again."""

    def __init__(self, url: str, published: Path, clock: Callable[[], float]) -> None:
        self.probes: dict[str, Probe] = {}
        self.errors: list[str] = []
        self._url = f"{url}/webhooks/{PROBES}"
        self._published = published
        self._clock = clock
        self._is_over = threading.Event()
        self._is_posting = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._post, self._read)]

    def start(self) -> None:
        """Begin."""
        self._is_posting.set()
        for thread in self._threads:
            thread.start()

    def stop_posting(self) -> None:
        """Go on reading only."""
        self._is_posting.clear()
        self._threads[0].join()

    def unpublished(self) -> int:
        """How many were acknowledged and are in no mart yet."""
        return sum(each.published_at is None for each in self.probes.values() if each.acknowledged_at is not None)

    def stop(self) -> None:
        """End."""
        self._is_over.set()
        self._is_posting.clear()
        for thread in self._threads:
            thread.join()

    def _post(self) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            while self._is_posting.is_set():
                began = self._clock()
                name = f"probe_{len(self.probes)}"
                probe = self.probes[name] = Probe(began)
                body = _event(name)
                signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
                while self._is_posting.is_set() and probe.acknowledged_at is None:
                    try:
                        answer = client.post(self._url, content=body, headers={"X-Webhook-Signature": signature})
                    except httpx.TransportError:
                        time.sleep(_LOOK_SECONDS)
                        continue
                    if answer.status_code == httpx.codes.OK:
                        probe.acknowledged_at = self._clock()
                time.sleep(max(0.0, began + _SECONDS_APART - self._clock()))

    def _read(self) -> None:
        seen_generation = ""
        while not self._is_over.is_set():
            time.sleep(_LOOK_SECONDS)
            try:
                generation = (self._published / CURRENT).readlink().name
                if generation == seen_generation:
                    continue
                with open_published(self._published) as connection:
                    names = {str(row[0]) for row in connection.execute(_SEEN).fetchall()}
            except FileNotFoundError:
                continue  # nothing is published yet
            except (OSError, PipelineError) as error:
                self.errors.append(repr(error))
                continue
            seen_generation, now = generation, self._clock()
            for name in names:
                if self.probes[name].published_at is None:
                    self.probes[name].published_at = now


def _event(name: str) -> bytes:
    # Within the platform's story: some marts look back from the newest event.
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - _DAYS_BACK * 86_400))
    conversion = {"id": name, "type": "lead", "occurred_at": now, "value": {"amount": "1.00", "currency": "EUR"}}
    data = {"conversion": conversion, "partner": {"id": "ptn_probe"}}
    event = {"id": f"evt_{name}", "type": "conversion.created", "schema_version": "1.0", "timestamp": now, "data": data}
    return json.dumps(event).encode()
