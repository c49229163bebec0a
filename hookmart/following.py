"""`load --follow` and `up`: following until a signal, and how loads and builds are told."""

import signal
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from hookmart.terminal import err, out
from pipelines.build import Builder, BuildReport
from pipelines.follow import Follower
from pipelines.load import Loader, LoadReport

_WATCH_SECONDS = 0.5


def follower_of(loader: Loader, builder: Builder | None, look: Callable[[], bool] = lambda: False) -> Follower:
    """Return a follower that tells what it does, a line each."""
    return Follower(
        loader,
        builder,
        on_load=lambda report: _tell("loaded", load_document(report)),
        on_build=lambda report: _tell("built", build_document(report)),
        on_trouble=lambda error: err.print(f"hookmart: {error}", markup=False),
        look=look,
    )


def follow_until_stopped(follower: Follower, is_alive: Callable[[], bool] = lambda: True) -> None:
    """Follow until SIGINT, SIGTERM, or until *is_alive* no longer holds; the round under way is finished."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())

    def watch() -> None:
        while not stop.wait(_WATCH_SECONDS):
            if not is_alive():
                stop.set()

    threading.Thread(target=watch, daemon=True).start()
    follower.run(stop)


def load_document(report: LoadReport) -> dict[str, Any]:
    """What a load did, flat."""
    document: dict[str, Any] = {"loads": report.loads, "segments": report.segments, **asdict(report.counts)}
    if report.poisoned:
        document["set_aside"] = ", ".join(name for name, _ in report.poisoned)
    return document


def build_document(report: BuildReport) -> dict[str, Any]:
    """What a build did, flat."""
    return {
        "load_seq": report.load_seq,
        "kind": "nothing new" if not report.is_new else "full" if report.is_full else "incremental",
        "models": report.models,
        "tests": report.tests,
        "published": None if not report.is_new else "marts" if report.generation is None else report.generation.name,
    }


def _tell(what: str, document: dict[str, Any]) -> None:
    out.print(f"{what}: " + ", ".join(f"{name} {value}" for name, value in document.items()), markup=False)
