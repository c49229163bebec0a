"""A follower at work beside a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from pipelines.follow import Follower


@contextmanager
def running(follower: Follower) -> Iterator[None]:
    """Follow while the block runs; a test that fails within it ends the follower as well, and so comes to its end."""
    stop = Event()
    thread = Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
