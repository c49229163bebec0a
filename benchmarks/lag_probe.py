"""How long from a POST to the published mart: an event of its own every second, and a reader who looks for it."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import httpx

from benchmarks.mart_reader import MartReader, Probe
from benchmarks.soaked_line import PROBES, SECRET

_RETRY_SECONDS = 0.1
_DAYS_BACK = 60
_SECONDS_APART = 1.0
_SEEN = f"select conversion_id from conversions where source_id = '{PROBES}'"


class LagProbe:
    """Posts and reads in threads of its own, from `start` to `stop`; what has no answer is posted again."""

    def __init__(self, url: str, published: Path, clock: Callable[[], float]) -> None:
        self.probes: dict[str, Probe] = {}
        self._url = f"{url}/webhooks/{PROBES}"
        self._clock = clock
        self._is_posting = threading.Event()
        self._thread = threading.Thread(target=self._post, daemon=True)
        self._reader = MartReader(published, clock, _find, self._found)

    @property
    def errors(self) -> list[str]:
        """What no reader should see."""
        return self._reader.errors

    def start(self) -> None:
        """Begin."""
        self._is_posting.set()
        self._thread.start()
        self._reader.start()

    def stop_posting(self) -> None:
        """Go on reading only."""
        self._is_posting.clear()
        self._thread.join()

    def unpublished(self) -> int:
        """How many were acknowledged and are in no mart yet."""
        return sum(each.published_at is None for each in self.probes.values() if each.acknowledged_at is not None)

    def stop(self) -> None:
        """End."""
        self.stop_posting()
        self._reader.stop()

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
                        time.sleep(_RETRY_SECONDS)
                        continue
                    if answer.status_code == httpx.codes.OK:
                        probe.acknowledged_at = self._clock()
                time.sleep(max(0.0, began + _SECONDS_APART - self._clock()))

    def _found(self, name: str, at: float) -> None:
        if self.probes[name].published_at is None:
            self.probes[name].published_at = at


def _find(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [str(name) for (name,) in connection.execute(_SEEN).fetchall()]


def _event(name: str) -> bytes:
    # Within the platform's story: some marts look back from the newest event.
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - _DAYS_BACK * 86_400))
    conversion = {"id": name, "type": "lead", "occurred_at": now, "value": {"amount": "1.00", "currency": "EUR"}}
    data = {"conversion": conversion, "partner": {"id": "ptn_probe"}}
    event = {"id": f"evt_{name}", "type": "conversion.created", "schema_version": "1.0", "timestamp": now, "data": data}
    return json.dumps(event).encode()
