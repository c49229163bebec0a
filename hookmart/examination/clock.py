"""The clock, against the file system's, another machine's, and the newest load; and the time zones."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import httpx

from hookmart.certification.wire import is_this_machine
from hookmart.examination.finding import Finding, Part
from ingest.settings import Settings
from pipelines.status import read_status

_PART = Part("clock")
_FILE_SECONDS = 2.0
_URL_SECONDS = 10.0
_TO_KNOW = 5.0
_TO_MEND = 60.0
"""Of five minutes that schemes with a time allow; the platform's own clock may take the rest."""


def examined_clock(settings: Settings | None, url: str | None) -> Iterator[Finding]:
    """Yield what the clock is like; *url* is of a server whose `Date` is believed."""
    if settings is not None:
        yield from _against_files(settings.stage.directory)
        yield from _against_loads(settings)
    yield (
        _against(url)
        if url is not None
        else _PART.good(
            f"This machine says {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC; --url compares it with a server's `Date`."
        )
    )
    yield _time_zones("UTC" if settings is None else settings.program.reporting_timezone)


def _against_files(stage: Path) -> Iterator[Finding]:
    place = next(each for each in (stage, *stage.parents) if each.is_dir())
    with suppress(OSError), tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-") as file:
        before = time.time()
        file.write(b"\n")
        file.flush()
        skew = Path(file.name).stat().st_mtime - before
        if abs(skew) > _FILE_SECONDS:
            yield _PART.warning(
                f"The file system of {stage} is {skew:+.1f} s from this machine's clock, as a file server's is that has"
                " its own; keep both on the same time server."
            )


def _against_loads(settings: Settings) -> Iterator[Finding]:
    loaded_at = read_status(settings.warehouse.state).loaded_at
    if loaded_at is None:
        return
    ahead = (datetime.fromisoformat(loaded_at).replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
    if ahead > _FILE_SECONDS:
        yield _PART.warning(
            f"The newest load is dated {ahead:,.0f} s in the future: the clock stepped back. Keep it on a time server."
        )


def _against(url: str) -> Finding:
    before = time.time()
    try:
        answer = httpx.head(url, timeout=_URL_SECONDS, trust_env=not is_this_machine(url))
        theirs = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except httpx.HTTPError as error:
        return _PART.warning(f"{url} could not be asked for its time ({error}); give another --url.")
    except (KeyError, ValueError):
        return _PART.warning(f"{url} does not say its time; give another --url.")
    after = time.time()
    # A `Date` leaves out the part of its second, and was written somewhere between the two: so much is certain.
    behind, ahead = after - theirs, before - (theirs + 1)
    skew = ahead if ahead > 0 else min(behind, 0.0)
    if abs(skew) <= _TO_KNOW:
        return _PART.good(f"This machine's clock agrees with that of {url}, as far as a `Date` can tell.")
    says = (
        f"This machine's clock is {skew:+,.0f} s from that of {url}; keep it on a time server, by chrony or"
        " systemd-timesyncd. Signatures with a time are refused beyond their tolerance, 300 s as a rule."
    )
    return _PART.wrong(says) if abs(skew) > _TO_MEND else _PART.warning(says)


def _time_zones(reporting: str) -> Finding:
    if not available_timezones():
        return _PART.wrong("There is no time zone database; install the system's tzdata, or `pip install tzdata`.")
    offset = datetime.now(ZoneInfo(reporting)).strftime("%z")
    return _PART.good(f"Days of the marts begin at midnight in {reporting}, now {offset} from UTC.")
