"""When each click that is posted stands in the published mart of clicks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from benchmarks.mart_reader import Probe

_CLICK = b'"type":"click.tracked"'
_READ = "select click_id from clicks where click_id in (select unnest(?))"
_NEVER_SHOWN = "select partner_id from intermediate.int_test_partners"
_SHOWN_ALREADY = "select click_id from marts.clicks where click_id in (select unnest(?))"


class ClickProbes:
    """
    The clicks among *bodies*, each looked for until it is found once.

    Those of test partners are in no mart, and what is in it already says nothing: neither is a probe.

    Args:
        posts: By event id, of those that have been tried; it grows as they are.
        warehouse: Built, and open nowhere else while this is made.
    """

    def __init__(self, bodies: Sequence[bytes], posts: Mapping[str, Probe], warehouse: Path) -> None:
        self._posts = posts
        events = [json.loads(body) for body in bodies if _CLICK in body]
        with duckdb.connect(warehouse, read_only=True) as connection:
            never_shown = {row[0] for row in connection.execute(_NEVER_SHOWN).fetchall()}
            clicks = [event["data"]["click"]["id"] for event in events]
            shown = {row[0] for row in connection.execute(_SHOWN_ALREADY, [clicks]).fetchall()}
        # Of a click that is told twice, the first event makes the row.
        self._waiting = {
            event["data"]["click"]["id"]: event["id"]
            for event in reversed(events)
            if event["data"]["partner"]["id"] not in never_shown and event["data"]["click"]["id"] not in shown
        }
        self._events = frozenset(self._waiting.values())

    def find(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """Those that have been posted and are in the mart now, without those that were found before."""
        # On one thread: the processors are those of what is measured.
        connection.execute("set threads = 1")
        posted = [click for click, event in self._waiting.items() if event in self._posts]
        return [str(click) for (click,) in connection.execute(_READ, [posted]).fetchall()]

    def found(self, click: str, at: float) -> None:
        """Take note."""
        self._posts[self._waiting.pop(click)].published_at = at

    def unpublished(self) -> int:
        """How many were acknowledged and have not been found yet."""
        return sum(probe.acknowledged_at is not None and probe.published_at is None for probe in self.probes())

    def probes(self) -> list[Probe]:
        """All that have been tried, in that order."""
        return [probe for event, probe in self._posts.items() if event in self._events]
