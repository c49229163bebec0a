"""A disk that is full, told in one sentence whichever library met it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.errors import DiskFullError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FULL_WORDS = ("no space left on device", "disk quota exceeded")
"""DuckDB and dlt keep no error number, but what the system said."""


@contextmanager
def full_disk_told(what: str) -> Iterator[None]:
    """
    Stand by while *what* is done.

    Raises:
        DiskFullError: An error that passes here says, or was caused by one that says, that a disk is full.
    """
    try:
        yield
    except Exception as error:
        if not any(_is_of_full_disk(each) for each in _with_causes(error)):
            raise
        raise DiskFullError(
            f"The disk was full during a {what}. Nothing is lost: what was received stays staged, and what is "
            f"published stays readable. Make room; the next {what} goes on from there."
        ) from error


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_of_full_disk(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(words in str(error).lower() for words in _FULL_WORDS)
