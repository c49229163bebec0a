"""Processes of a test's own, quickly begun; and one that is killed between two instructions, by SIGKILL."""

import os
import signal
from collections.abc import Callable
from functools import wraps
from multiprocessing import get_context
from pkgutil import resolve_name
from typing import Any

PROCESSES = get_context("forkserver")
"""
Of processes that begin with nothing of ours but these modules, which take longer to import than most tests take.

They come from a process that has one thread and no file open, which cannot be said of the one that runs the tests.
"""

PROCESSES.set_forkserver_preload(["tests.line"])

Point = tuple[str, int]
"""
Where: before the n-th call of a function or method, as `module:name` or `module:class.name`.

By its name, because a module does not reach a process that starts anew.
"""


def run_and_die(point: Point, work: Callable[..., object], *arguments: Any, start: str = "forkserver") -> None:
    """
    Run *work*, a function of a module, in a process of its own, and see it killed at *point*.

    Args:
        point: Where.
        work: What is under way then,
        arguments: with these.
        start: How the process starts: "fork" for arguments that reach no other.
    """
    process = get_context(start).Process(target=_die, args=(point, work, arguments))  # type: ignore[attr-defined]
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL, f"exit code {process.exitcode}, and {point} was never reached"


def _die(point: Point, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    module, _, path = point[0].partition(":")
    *within, name = path.split(".")
    owner = resolve_name(":".join([module, ".".join(within)]) if within else module)
    original = getattr(owner, name)
    calls = 0

    @wraps(original)
    def dying(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == point[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*given, **named)

    setattr(owner, name, dying)
    work(*arguments)
