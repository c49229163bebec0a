"""A connection to a PostgreSQL server: waited for where that helps, and what went wrong with it in sentences."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg2

from pipelines.errors import WarehouseAwayError

# What the server says, in its words, when waiting would not help.
_HOPELESS = ("password", "does not exist", "pg_hba.conf", "not permitted", "certificate", "support SSL", "invalid")

# By the first letters of its code: what the server will not do until somebody changes something there.
_REFUSALS = {
    "42501": "Grant that to the role in the URL",  # insufficient privilege
    "25006": "Name the primary in the URL, a standby takes no rows",  # read only
    "53": "Make room there",  # disk full, out of memory, too many connections
}

# A lock is held for as long as a build takes, in silence: the network in between must not forget the connection.
_CONNECTION = {"application_name": "hookmart", "connect_timeout": "10", "keepalives_idle": "30"}

_SESSION = "set timezone = 'UTC'; set client_min_messages = warning"


def connect(options: Mapping[str, str], name: str, patience: float, notice: Callable[[str], None]) -> Any:
    """
    Return a connection that commits every statement by itself, its clock in UTC.

    Args:
        options: As libpq wants them.
        name: What the server is called towards people.
        patience: Seconds to wait while it does not answer.
        notice: Told once, when a wait begins.

    Raises:
        WarehouseAwayError: It does not answer, or does not let us in.
    """
    deadline = time.monotonic() + patience
    told = False
    while True:
        try:
            connection = psycopg2.connect(**{**_CONNECTION, **options})
        except psycopg2.OperationalError as error:
            reason = sentence(error)
            is_hopeless = any(words in reason for words in _HOPELESS) and "starting up" not in reason
            if is_hopeless:
                message = (
                    f"The warehouse {name} does not let us in: {reason}. Correct the URL that `credentials` in "
                    "[warehouse] names, or what the server allows; what was received stays staged until then."
                )
                raise WarehouseAwayError(message) from error
            if time.monotonic() >= deadline:
                message = (
                    f"The warehouse {name} does not answer: {reason}. Start the server, or correct the URL that "
                    "`credentials` in [warehouse] names; what was received stays staged until then."
                )
                raise WarehouseAwayError(message) from error
            if not told:
                notice(f"waiting: {name} does not answer ({reason})")
                told = True
            time.sleep(0.1)
        else:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(_SESSION)
            return connection


@contextmanager
def transaction(connection: Any) -> Iterator[None]:
    """Commit what is done meanwhile at the end, or take it back where it fails."""
    with connection.cursor() as cursor:
        cursor.execute("begin")
        try:
            yield
        except BaseException:
            # A connection that was lost has nothing to take back.
            if not connection.closed:
                cursor.execute("rollback")
            raise
        cursor.execute("commit")


def loss_in(error: BaseException, connection: Any) -> str | None:
    """Return what the server, or the network, said when it went away, if *error* came from that."""
    for each in _with_causes(error):
        if _is_loss(each):
            return sentence(each)
    try:
        # dbt has connections of its own, and says only in words what became of them.
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as lost:
        return sentence(lost)
    return None


def _is_loss(error: BaseException) -> bool:
    return isinstance(error, psycopg2.InterfaceError) or (
        isinstance(error, psycopg2.OperationalError)
        # Without a code the connection broke; class 57P is a server that goes down or throws us out.
        and (error.pgcode is None or error.pgcode.startswith("57P"))
    )


def refusal_in(error: BaseException) -> str | None:
    """Return what the server refused, if *error* came from that, and what to do about it."""
    for each in _with_causes(error):
        if isinstance(each, psycopg2.Error):
            for code, advice in _REFUSALS.items():
                if (each.pgcode or "").startswith(code):
                    return f"{sentence(each)}. {advice}"
    return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def sentence(error: BaseException) -> str:
    """Return the first line of what the server said."""
    return str(error).strip().partition("\n")[0].rstrip(".")
