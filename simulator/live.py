"""A played programme that happens now: three months are told in as long as it takes to post them."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta

import orjson

from simulator.agenda import Entry
from simulator.wire import JsonObject, instant

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Present:
    """
    Moves the times of a story into the present, as evenly as its events are posted.

    Everything in an event moves along: what happened before another thing still does, in less time. Only the time from
    a click to a conversion stays as it was, since it says something about the customer.
    """

    def __init__(self, story_start: datetime, now: datetime, rate: float) -> None:
        """
        Begin a story, of which *rate* events a second are posted.

        Args:
            story_start: No entry is earlier.
            now: When its first event happens; aware UTC.
        """
        self._rate = rate
        self._story = [story_start]
        self._now = [now]
        self._last = now

    def moved(self, entries: list[Entry], until: datetime) -> Iterator[Entry]:
        """Move *entries*: all that happens before *until*, and was not moved yet."""
        self._story.append(until)
        self._now.append(self._now[-1] + timedelta(seconds=len(entries) / self._rate))
        for entry in entries:
            rest = orjson.dumps(self._moved_value(_with_gap_kept(orjson.loads(entry.rest))))
            # Never two at once: what follows within seconds may lie less than a microsecond apart.
            self._last = max(self.at(entry.at), self._last + timedelta(microseconds=1))
            yield entry._replace(at=self._last, rest=rest)

    def at(self, story: datetime) -> datetime:
        """When it happens; what lies further ahead than anything that was moved goes on at the pace of the whole."""
        known = bisect_right(self._story, story) - 1
        if known < 0:
            return self._now[0]
        if known + 1 == len(self._story):
            pace = (self._now[-1] - self._now[0]) / max(self._story[-1] - self._story[0], timedelta(seconds=1))
            return self._now[-1] + (story - self._story[-1]) * pace
        start, end = self._story[known : known + 2]
        return self._now[known] + (self._now[known + 1] - self._now[known]) * ((story - start) / (end - start))

    def _moved_value(self, value: object) -> object:
        if isinstance(value, dict):
            return {name: self._moved_value(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._moved_value(each) for each in value]
        if isinstance(value, str) and _INSTANT.fullmatch(value):
            return instant(self.at(datetime.fromisoformat(value)))
        if isinstance(value, str) and _DAY.fullmatch(value):
            midnight = datetime.fromisoformat(f"{value}T00:00:00+00:00")
            return self.at(midnight).date().isoformat()
        if isinstance(value, _Gap):
            return instant(self.at(value.of) - value.length)
        return value


class _Gap:
    """The time from a click to what *of* is the time of."""

    def __init__(self, of: datetime, length: timedelta) -> None:
        self.of = of
        self.length = length


def _with_gap_kept(data: JsonObject) -> JsonObject:
    conversion = data.get("conversion")
    if isinstance(conversion, dict) and conversion["clicked_at"]:
        occurred_at = datetime.fromisoformat(conversion["occurred_at"])
        length = occurred_at - datetime.fromisoformat(conversion["clicked_at"])
        return {**data, "conversion": {**conversion, "clicked_at": _Gap(occurred_at, length)}}
    return data
