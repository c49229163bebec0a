"""Refused requests judged again, by the secrets and schemes of today: what verifies now is staged after all."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from logging import getLogger

from ingest.delivery import Delivery
from ingest.door import Source
from ingest.errors import IngestError, Refused
from ingest.judgement import judged
from ingest.refused_directory import RefusedDirectory, locked, whole_lines
from ingest.refused_request import RefusedRequest
from ingest.staging import Segment, Stage, StagedLine

_LOCK = ".reverify.lock"
_POLL_SECONDS = 0.05

_logger = getLogger(__name__)

Judge = Callable[[RefusedRequest], list[StagedLine]]
"""What the door makes of a request today: its lines in the stage, or the exception `Refused`."""


class ReverifyLockedError(IngestError):
    """Another process judges these requests; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """
    What became of so many requests.

    Attributes:
        verified: Genuine, as it turns out: staged, as accepted or quarantined.
        still_refused: As before, for the same reason or another.
        unverifiable: Kept without something that their signature covers.
    """

    verified: int = 0
    still_refused: int = 0
    unverifiable: int = 0

    def __add__(self, other: "Verdicts") -> "Verdicts":
        """Both together."""
        return Verdicts(
            self.verified + other.verified,
            self.still_refused + other.still_refused,
            self.unverifiable + other.unverifiable,
        )


@dataclass(frozen=True, slots=True)
class ReverifyReport(Verdicts):
    """The verdicts of one pass, in all and by source."""

    by_source: Mapping[str, Verdicts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefusedGroup:
    """
    The requests of one source that were refused for one reason.

    Attributes:
        body_bytes: Of the bodies as sent.
        first_received_at: RFC 3339 in UTC; so is `last_received_at`.
        unverifiable: Kept without something that their signature covers.
        verifiable: Would verify today; None where nobody can judge.
    """

    source_id: str
    reason: str
    requests: int
    body_bytes: int
    first_received_at: str
    last_received_at: str
    unverifiable: int
    verifiable: int | None


def judge_of(sources: Mapping[str, Source], privacy_key: bytes | None) -> Judge:
    """
    Return the judgement of *sources*, as of the moment each request was received.

    Args:
        privacy_key: Of the hashes that take the place of personal data; None drops it.
    """

    def judge(request: RefusedRequest) -> list[StagedLine]:
        source = sources.get(request.source_id)
        if source is None:
            raise Refused("unknown_source")
        if not source.scheme.covers_body:
            # Its fence is an address, or a token in the path, and neither is kept.
            raise Refused("missing_signature")
        return judged(
            source,
            Delivery(request.source_id, body_bytes=request.body_bytes),
            request.raw_headers,
            request.body,
            datetime.fromisoformat(request.received_at),
            method=request.method,
            url=request.url or "",
            privacy_key=privacy_key,
        )

    return judge


def group_refused(requests: Iterable[RefusedRequest], judge: Judge | None) -> list[RefusedGroup]:
    """Return *requests* by source and reason, in that order; without *judge*, nothing is said of what would verify."""
    groups: dict[tuple[str, str], RefusedGroup] = {}
    for request in requests:
        is_verifiable = None if judge is None else not request.is_redacted and _lines_of(request, judge) is not None
        one = RefusedGroup(
            source_id=request.source_id,
            reason=request.reason,
            requests=1,
            body_bytes=request.body_bytes,
            first_received_at=request.received_at,
            last_received_at=request.received_at,
            unverifiable=int(request.is_redacted),
            verifiable=None if is_verifiable is None else int(is_verifiable),
        )
        key = (request.source_id, request.reason)
        groups[key] = _joined(groups[key], one) if key in groups else one
    return [groups[key] for key in sorted(groups)]


def reverify(
    directory: RefusedDirectory,
    stage: Stage,
    judge: Judge,
    *,
    source: str | None = None,
    is_dry_run: bool = False,
    patience: float = 10.0,
    notice: Callable[[str], None] = lambda _message: None,
) -> ReverifyReport:
    """
    Judge every refused request again, stage what verifies, and keep the rest as it is.

    What is staged carries the time at which it was received first, a delivery id of its own, and in `detail` the one
    under which it was refused. First it is staged, durably, then it leaves *directory*: killed in between, the next
    pass stages it once more and the warehouse counts a duplicate; nothing is lost.

    Args:
        source: Only its requests; None: of all.
        is_dry_run: Only judge; open segments are read too, and nothing is changed.
        patience: Seconds to wait, each, for open segments to close and for another who does the same.
        notice: Told about waits.

    Raises:
        ReverifyLockedError: Another process kept doing the same.
        OSError: A disk's; what was staged by then is staged, and the rest is as it was.
    """
    by_source: dict[str, Verdicts] = {}
    if is_dry_run:
        for request in directory.requests():
            if source in {None, request.source_id}:
                _judged(request, judge, by_source)
    elif directory.root.exists():
        with _alone(directory, patience, notice):
            directory.stage.recover()
            _wait_for_open_segments(directory.stage, patience)
            for segment in directory.stage.closed_segments():
                _reverify_segment(directory, segment, stage, judge, source, by_source)
    total = sum(by_source.values(), Verdicts())
    return ReverifyReport(total.verified, total.still_refused, total.unverifiable, by_source)


def _reverify_segment(
    directory: RefusedDirectory,
    segment: Segment,
    stage: Stage,
    judge: Judge,
    source: str | None,
    by_source: dict[str, Verdicts],
) -> None:
    staged: list[StagedLine] = []
    kept: list[bytes] = []
    with directory.changing():
        for line in whole_lines(segment):
            request = _decoded(line)
            if request is None or source not in {None, request.source_id}:
                kept.append(line)
                continue
            lines = _judged(request, judge, by_source)
            if lines is None:
                kept.append(line)
            else:
                staged.extend(_reverified(each, request) for each in lines)
        if staged:
            stage.publish(staged)
            directory.rewrite(segment, kept)


def _judged(request: RefusedRequest, judge: Judge, by_source: dict[str, Verdicts]) -> list[StagedLine] | None:
    lines = None if request.is_redacted else _lines_of(request, judge)
    if request.is_redacted:
        verdict = Verdicts(unverifiable=1)
    elif lines is None:
        verdict = Verdicts(still_refused=1)
    else:
        verdict = Verdicts(verified=1)
    by_source[request.source_id] = by_source.get(request.source_id, Verdicts()) + verdict
    return lines


def _lines_of(request: RefusedRequest, judge: Judge) -> list[StagedLine] | None:
    try:
        return judge(request)
    except Refused:
        return None
    except Exception:
        # One request that nobody foresaw must not keep all others out; it stays where it is.
        _logger.exception("The refused request %s could not be judged.", request.delivery_id)
        return None


def _reverified(line: StagedLine, request: RefusedRequest) -> StagedLine:
    origin = f"reverified from {request.delivery_id}"
    detail = origin if line.detail is None else f"{line.detail}; {origin}"
    return replace(line, received_at=request.received_at, detail=detail)


def _decoded(line: bytes) -> RefusedRequest | None:
    try:
        return RefusedRequest.decode(line)
    except ValueError:
        return None


def _joined(group: RefusedGroup, one: RefusedGroup) -> RefusedGroup:
    return replace(
        group,
        requests=group.requests + one.requests,
        body_bytes=group.body_bytes + one.body_bytes,
        first_received_at=min(group.first_received_at, one.first_received_at),
        last_received_at=max(group.last_received_at, one.last_received_at),
        unverifiable=group.unverifiable + one.unverifiable,
        verifiable=None if group.verifiable is None or one.verifiable is None else group.verifiable + one.verifiable,
    )


@contextmanager
def _alone(directory: RefusedDirectory, patience: float, notice: Callable[[str], None]) -> Iterator[None]:
    deadline = time.monotonic() + patience
    is_told = False
    while True:
        with locked(directory.root / _LOCK, is_patient=False) as is_mine:
            if is_mine:
                yield
                return
        if time.monotonic() >= deadline:
            raise ReverifyLockedError(
                f"Another process judges the refused requests in {directory.root}; run this again when it is done."
            )
        if not is_told:
            notice(f"waiting: another process judges the refused requests in {directory.root}")
            is_told = True
        time.sleep(_POLL_SECONDS)


def _wait_for_open_segments(stage: Stage, patience: float) -> None:
    deadline = time.monotonic() + patience
    writing = {segment.batch_id for segment in stage.live_segments()}
    while writing and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        writing &= {segment.batch_id for segment in stage.live_segments()}
