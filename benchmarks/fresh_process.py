"""What a piece of work costs: time, processor and memory, each piece in a process of its own."""

import gc
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class Cost:
    """
    Of one piece of work.

    Attributes:
        seconds: By the clock.
        cpu_seconds: Of all threads.
        peak_bytes: The most memory that the process held meanwhile, what it held before included.
        before_bytes: What it held before.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    before_bytes: int


def in_fresh_process(work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Return what *work*, a function of a module, returns in a process that has done nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_write_nothing) as pool:
        return pool.submit(work, *arguments, **named).result()


def measured(work: Callable[[], R]) -> tuple[R, Cost]:
    """Do *work* here and say what it cost. Where the kernel keeps the old peak, that of the warm-up counts too."""
    gc.collect()
    with suppress(OSError):  # a container may not let us
        _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
    before = _bytes_of("VmRSS")
    cpu, clock = time.process_time(), time.perf_counter()
    result = work()
    seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - cpu
    return result, Cost(seconds, cpu_seconds, _bytes_of("VmHWM"), before)


def _write_nothing() -> None:
    # DuckDB takes a process that multiprocessing started for a shell, and draws progress bars.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _bytes_of(field: str) -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{_STATUS} has no {field}: this needs Linux.")
