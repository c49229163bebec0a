"""
Measure how long a reader waits: from the POST of an event until it is in the published mart, under `hookmart up`.

    python benchmarks/freshness.py                                  500 a second on ten million events
    python benchmarks/freshness.py --history 100000 --seconds 60    in some minutes
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402  # started as a file, this is how it finds the project
from benchmarks.click_probes import ClickProbes
from benchmarks.fresh_process import in_fresh_process, measured
from benchmarks.freshness_report import FreshnessRun
from benchmarks.loaded_events import not_once
from benchmarks.loader_report import mebibytes
from benchmarks.loader_site import LoaderSite
from benchmarks.machine import busy_seconds, describe, is_in_memory
from benchmarks.mart_history import PLAYED, MartHistory
from benchmarks.mart_reader import MartReader
from benchmarks.process_meter import ProcessMeter
from benchmarks.results import machine_lines
from benchmarks.running_server import RunningServer, ServerFailed, free_port
from benchmarks.staged_events import SOURCE
from benchmarks.steady_traffic import SteadyTraffic, deliveries_of

_SCRATCH = ROOT / "var" / "benchmarks" / "freshness"
_PACKAGES = ("duckdb", "dlt", "dbt-core", "dbt-duckdb", "uvicorn", "aiohttp")
_LOOK_SECONDS = 0.5
_PUBLISH_SECONDS = 600.0
_DRAIN_SECONDS = 300.0


def main() -> int:
    """Do what the command line asks; 0 all is as it must be, 1 something is not, 2 cannot be measured here."""
    arguments = _arguments().parse_args()
    scratch: Path = arguments.directory.resolve()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    if is_in_memory(scratch):
        _say(f"Not measured: {scratch} is in memory, where a sync costs nothing; name a --directory on a disk.")
        return 2
    machine = describe(scratch, _PACKAGES, ())
    sys.stdout.write(f"{machine_lines(machine)}\n")
    sys.stdout.flush()
    site = LoaderSite(scratch / "site")
    bodies = _prepared(site, scratch, arguments)
    try:
        run, wrong = _measured(site, bodies, arguments)
    except ServerFailed as error:
        _say(str(error))
        return 1
    sys.stdout.write(f"{run.markdown()}\n")
    sys.stdout.write("\n".join(wrong) if wrong else "Every event is loaded once, and none is unexplained.")
    sys.stdout.write("\n")
    if arguments.json:
        document = {"machine": asdict(machine), "run": run.document(), "wrong": wrong}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    if not wrong and not arguments.keep:
        shutil.rmtree(scratch)
    return 1 if wrong else 0


def _prepared(site: LoaderSite, scratch: Path, arguments: argparse.Namespace) -> list[bytes]:
    """Make, build and publish the history; return what is to be posted."""
    count = round((arguments.warm_up + arguments.seconds) * arguments.rate)
    copies = -(-arguments.history // PLAYED)
    history = MartHistory(site, to_come=-(-count // copies))
    history.grow(arguments.history, scratch)
    size = mebibytes(site.warehouse().stat().st_size)
    _say(f"{history.events:,} events: made, {size} MiB")
    # In a process of its own, whose memory is gone afterwards.
    _report, cost = in_fresh_process(measured, site.build_anew)
    _say(f"built and published in {cost.seconds:.0f} s")
    return history.next(count)


def _measured(
    site: LoaderSite, bodies: Sequence[bytes], arguments: argparse.Namespace
) -> tuple[FreshnessRun, list[str]]:
    """Post *bodies* to `hookmart up`, let it drain, and return what was seen, and what is wrong, in sentences."""
    history, warehouse_bytes = site.events(), site.warehouse().stat().st_size
    port, clock = free_port(), time.monotonic
    traffic = SteadyTraffic(port, SOURCE, site.signer(), clock)
    probes = ClickProbes(bodies, traffic.posts, site.warehouse())
    deliveries = deliveries_of(bodies)
    reader = MartReader(site.published(), clock, probes.find, probes.found)
    with RunningServer(site.up(port), site.root, port, None) as up:
        meter = ProcessMeter(up, clock)
        reader.start()
        meter.start()
        started, used, busy = clock(), time.process_time(), busy_seconds()
        asyncio.run(traffic.post(deliveries, arguments.rate))
        posted_until = clock()
        seconds = posted_until - started
        own_cores, busy_cores = (time.process_time() - used) / seconds, (busy_seconds() - busy) / seconds
        while probes.unpublished() and clock() < posted_until + _PUBLISH_SECONDS:
            time.sleep(_LOOK_SECONDS)
        meter.stop()
        up.stop(_DRAIN_SECONDS)
        drained = clock()
        reader.stop()
    clicks = probes.probes()
    run = FreshnessRun(
        history=history, warehouse_bytes=warehouse_bytes, rate=arguments.rate, began=started + arguments.warm_up,
        posted_until=posted_until, published_at=max((each.published_at or 0.0 for each in clicks), default=0.0),
        drained=drained, posts=list(traffic.posts.values()), clicks=clicks, generations=reader.generations,
        readings=meter.readings, own_cores=own_cores, busy_cores=busy_cores, troubles=traffic.troubles,
    )  # fmt: skip
    wrong = [*run.faults(), *(f"A reader failed: {error}" for error in reader.errors)]
    if left := probes.unpublished():
        wrong.append(f"{left:,} acknowledged clicks are in no mart.")
    if up.process.returncode:
        wrong.append(f"`hookmart up` drained with exit code {up.process.returncode}.")
    return run, [*wrong, *_not_loaded(site, traffic.acknowledged())]


def _not_loaded(site: LoaderSite, acknowledged: Sequence[str]) -> Iterator[str]:
    missing, twice = not_once(site.warehouse(), SOURCE, acknowledged)
    if missing or twice:
        yield f"Of {len(acknowledged):,} acknowledged events {missing:,} are not in `raw`, {twice:,} more than once."
    if unexplained := site.unexplained():
        yield f"{unexplained:,} are unexplained."


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the time from POST to published mart under steady traffic.")
    parser.add_argument("--history", type=int, default=10_000_000, help="events that were there before")
    parser.add_argument("--rate", type=float, default=500, help="events a second")
    parser.add_argument("--seconds", type=float, default=180, help="of posting that count")
    parser.add_argument("--warm-up", type=float, default=60, help="seconds of the same traffic before")
    parser.add_argument("--json", type=Path, help="write every click, publication and reading to this file as well")
    parser.add_argument("--keep", action="store_true", help="keep the directory where all is well")
    parser.add_argument("--directory", type=Path, default=_SCRATCH, help="on a disk; removed first")
    return parser


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    raise SystemExit(main())
