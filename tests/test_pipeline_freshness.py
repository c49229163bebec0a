"""Freshness against a count by hand: hours of receipt, retries, conflicts, and how late events were."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.line import Line, staged_line
from tests.oracle_events import Row, body, distinct_live_events
from tests.programmes import random_programme

_NOON = datetime(2026, 11, 1, 12)


def counted(posts: Sequence[dict[str, Any]]) -> dict[tuple[str, str, datetime], Row]:
    """What the mart must hold of *posts* in order of receipt, each with its `received_at`."""
    known: dict[tuple[str, str], datetime] = {}
    lateness: dict[tuple[str, str, datetime], list[int]] = {}
    repeated: Counter[tuple[str, str, datetime]] = Counter()
    for post in posts:
        [event] = distinct_live_events(
            [{name: value for name, value in post.items() if name not in {"received_at", "livemode"}}]
        )
        at = post["received_at"]
        key = event.source_id, event.type, at.replace(minute=0, second=0, microsecond=0)
        if post.get("livemode") is False:
            continue
        if (event.source_id, event.event_id) in known:
            repeated[key] += 1
            continue
        known[event.source_id, event.event_id] = at
        lateness.setdefault(key, []).append(math.floor((at - event.occurred_at).total_seconds()))
    rows: dict[tuple[str, str, datetime], Row] = {}
    for key in lateness.keys() | repeated.keys():
        values = sorted(lateness.get(key, []))
        half, most = (math.ceil(len(values) * share / 100) for share in (50, 95))
        rows[key] = {
            "events": len(values),
            "duplicates": repeated[key],
            "lateness_p50_seconds": values[half - 1] if values else None,
            "lateness_p95_seconds": values[most - 1] if values else None,
            "lateness_max_seconds": values[-1] if values else None,
        }
    return rows


def test_every_hour_is_counted_in_any_split_of_loads(tmp_path: Path) -> None:
    """
    Over three hours, a third sent twice, in loads out of their order: as counted by hand.

    A conflict, two events in quarantine and a refused request stand beside them; a full refresh changes nothing.
    """
    rng = random.Random(5)
    posts = random_programme(5, conversions=6, payouts=3, clicks=4)
    arriving = [*posts, *rng.sample(posts, len(posts) // 3)]
    rng.shuffle(arriving)
    step = timedelta(hours=3) / len(arriving)
    arriving = [{**post, "received_at": _NOON + number * step} for number, post in enumerate(arriving)]
    line = Line(tmp_path)
    third = len(arriving) // 3
    for portion in (arriving[third : 2 * third], arriving[:third], arriving[2 * third :]):
        line.stage_lines(
            staged_line(post["source"], body(post), post["received_at"].replace(tzinfo=UTC)) for post in portion
        )
        line.load()
        line.build()
    found = line.query("from marts.pipeline_freshness")
    expected = counted(arriving)
    names = next(iter(expected.values()))
    assert {
        (row["source_id"], row["event_type"], row["received_hour"]): {name: row[name] for name in names}
        for row in found
    } == expected

    known = next(post for post in posts if post.get("id") and post.get("livemode") is not False)
    line.stage_bodies(
        [(known["source"], body({**known, "program_id": "b2"})), ("acme", b"["), ("acme", b'{"type": "a.new.one"}')]
    )
    unproven = staged_line("acme", b"[", _NOON.replace(tzinfo=UTC))
    line.stage_lines([replace(unproven, outcome="refused", reason="signature", status_code=401, payload=None)])
    line.load()
    line.build()
    incremental = line.marts()
    totals = {
        name: sum(row[name] for row in incremental["pipeline_freshness"])
        for name in ("duplicates", "conflicts", "quarantined", "refused")
    }
    assert totals == {
        "duplicates": sum(row["duplicates"] for row in expected.values()) + 1,
        "conflicts": 1,
        "quarantined": 2,
        "refused": 1,
    }
    line.build(full_refresh=True)
    assert line.marts() == incremental
