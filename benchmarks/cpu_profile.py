"""Where the receiver spends its time under load: samples of py-spy, summed by part of the product."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.contest import Contest
from benchmarks.machine import cores_for, pinned
from benchmarks.rival_environments import Environments, NotRunnable

_CONNECTIONS = 64
_BODY_BYTES = 1024
_SECONDS = 10
_SAMPLES_PER_SECOND = 250

_OTHER = "other"
# A thread that waits for its next job; to the profiler it looks busy.
_IDLE = re.compile(r"^_worker \(.*/concurrent/futures/thread\.py|^\S*_run \(.*/ingest/disk_thread\.py")
_COMPONENTS: tuple[tuple[str, str], ...] = (
    ("verify the signature", r"/ingest/(verify|sources|signing_plan)\.py"),
    ("parse, check the contract", r"/models/\w+\.py"),
    ("take out personal data", r"/ingest/privacy\.py"),
    ("encode the line", r"/ingest/(delivery|staging|uuid7)\.py|^\S*\b_encoded .*/ingest/receiver\.py"),
    ("commit together, sync", r"/ingest/(group_commit|segment_file|disk_thread)\.py"),
    ("count for the metrics", r"/ingest/(metrics|worker_metrics)\.py"),
    ("answer", r"/ingest/answers\.py|\banswer .*/ingest/fast_lane\.py"),
    ("server: HTTP", r"/ingest/(fast_lane|declined_upgrade)\.py"),
    ("receiver, the rest", r"/ingest/\w+\.py"),
    ("server: HTTP", r"/(uvicorn|httptools|starlette)/"),
    ("event loop, sockets", r"/(asyncio|uvloop)/"),
)
"""What a sample counts as: the first frame from the innermost outwards that one of the patterns fits."""


def profile_table(contest: Contest, contender: Contender, environments: Environments, scratch: Path) -> str:
    """
    A Markdown table of samples by component, of 64 connections that post 1 KiB each.

    The stacks stay in `profile.folded` in *scratch*; tools that draw flame graphs read it.

    Raises:
        NotRunnable: py-spy is neither installed nor to be had, or failed.
    """
    spy = _py_spy(environments)
    folded = scratch / "profile.folded"
    load_core = cores_for(contender.workers, is_pinned=True).load
    with contest.folder() as folder, contest.serving(contender, folder) as server:
        generator = contest.load_generator(contender.workers, _BODY_BYTES)
        with generator.started(server.port, contender.path, _CONNECTIONS, _SECONDS + 5) as load:
            command = [str(spy), "record", "--pid", str(server.process.pid), "--duration", str(_SECONDS)]
            command += ["--rate", str(_SAMPLES_PER_SECOND), "--format", "raw", "--full-filenames"]
            command += ["--output", str(folded)]
            # It must not take time from the core that it looks at.
            cpus = None if load_core is None else (load_core,)
            spied = subprocess.run(pinned(command, cpus), capture_output=True, text=True, check=False)  # noqa: S603  # ours
            measurement = load.stop()
    if spied.returncode or not folded.is_file():
        raise NotRunnable(f"py-spy failed: {spied.stderr.strip()}")
    samples = _by_component(folded.read_text(encoding="utf-8").splitlines())
    total = sum(samples.values())
    lines = [
        f"{measurement.per_second:,.0f} requests/s while {total:,} samples were taken.",
        "",
        "| component | share of samples |",
        "|---|--:|",
        *(f"| {name} | {count / total:.1%} |" for name, count in samples.most_common()),
    ]
    return "\n".join(lines)


def _by_component(folded: Iterable[str]) -> Counter[str]:
    samples: Counter[str] = Counter()
    for line in folded:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if not _IDLE.search(frames[-1]):
            samples[_component(frames)] += int(count)
    return samples


def _component(frames: list[str]) -> str:
    for frame in reversed(frames):
        for name, pattern in _COMPONENTS:
            if re.search(pattern, frame):
                return name
    return _OTHER


def _py_spy(environments: Environments) -> Path:
    beside = Path(sys.executable).with_name("py-spy")
    if beside.is_file():
        return beside
    found = shutil.which("py-spy")
    return Path(found) if found else environments.python_packages("py-spy", "py-spy") / "bin" / "py-spy"
