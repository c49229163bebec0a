"""Posts to a receiver as a platform does, and says what became of the posts, and which answers were wrong."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import orjson

from sending.answer import Answer
from sending.clock import Clock, SystemClock
from sending.delivery import Delivery
from sending.delivery_log import DeliveryLog
from sending.http_client import HttpClient
from sending.policy import Policy, State, Verdict
from sending.sender import Sender, log_failures
from sending.signing import Signer
from simulator.faults import FAULTS, FaultName
from simulator.posting import CLIENT_CLOSED_REQUEST, PlatformTransport

_MOST_NOTICES = 20
_QUARANTINED = frozenset({FaultName.unknown_types, FaultName.new_major_version})


@dataclass(slots=True)
class SendReport:
    """
    What became of the posts: each is accepted, quarantined, refused, aborted or undelivered.

    Attributes:
        accepted: Answered 2xx, and not said to be quarantined.
        refused: Answered with a status that asks for a change by the sender; not tried again.
        aborted: Broken off by us, as a fault.
        undelivered: Given up after the last attempt.
        duplicates: Posts that repeated an earlier one, whatever became of them.
        retries: Attempts after the first, over all posts.
        by_status: All answers, those to retried attempts included.
        errors: Attempts without an answer, by kind of error.
        unexpected: Answers that a receiver should not give, by fault ("genuine" where there was none) and answer.
    """

    accepted: int = 0
    quarantined: int = 0
    refused: int = 0
    aborted: int = 0
    undelivered: int = 0
    duplicates: int = 0
    retries: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)

    @property
    def sent(self) -> int:
        """Posts, each counted once."""
        return self.accepted + self.quarantined + self.refused + self.aborted + self.undelivered

    def take(self, delivery: Delivery, answer: Answer, verdict: Verdict) -> None:
        """Count one attempt."""
        is_aborted = delivery.kind == FaultName.aborted_connections
        if answer.error is not None:
            self.errors[answer.error] += 1
        elif not is_aborted:
            self.by_status[answer.status_code or 0] += 1
        if verdict.state is State.waiting:
            self.retries += 1
            return
        self.duplicates += delivery.kind == FaultName.duplicates
        said = _said(answer) if verdict.state is State.delivered else ""
        if is_aborted:
            self.aborted += 1
        elif verdict.state is State.refused:
            self.refused += 1
        elif verdict.state is State.undeliverable:
            self.undelivered += 1
        elif said == "quarantined":
            self.quarantined += 1
        else:
            self.accepted += 1
        if not _is_expected(delivery, answer, said):
            shown = f"{answer.error or answer.status_code} {said}".rstrip()
            self.unexpected[f"{delivery.kind or 'genuine'}: {shown}"] += 1


async def send(
    url: str,
    signer: Signer,
    posts: Iterable[Delivery],
    *,
    connections: int = 16,
    rate: float | None = None,
    policy: Policy | None = None,
    clock: Clock | None = None,
    log: DeliveryLog | None = None,
    signed_url: str | None = None,
    on_progress: Callable[[int], None] | None = None,
    report: SendReport | None = None,
) -> SendReport:
    """
    Post all *posts* to *url*, each signed anew at every attempt, or spoilt as its kind says.

    They start in their order, but up to *connections* are under way at once.

    Args:
        rate: Posts per second at most, over all connections; None for as fast as the receiver answers.
        policy: The sender's own where None.
        clock: By which it waits; the machine's where None.
        log: Where it is recorded, and taken up again; None keeps it in memory.
        signed_url: As the receiver knows it, where a proxy changes it and the signature covers it.
        on_progress: Called with the number of posts done, after each attempt.
        report: Of what was sent before, to be gone on with.

    Raises:
        ValueError: *connections* or *rate* is not positive, or *url* is not an http or https address.
        LogFailed: The log cannot be written.
    """
    report = SendReport() if report is None else report
    chosen = policy or Policy()

    def observe(delivery: Delivery, answer: Answer, verdict: Verdict) -> None:
        report.take(delivery, answer, verdict)
        # A receiver that refuses everything would be told of for ever; the report counts all.
        is_told = report.unexpected.total() <= _MOST_NOTICES
        if is_told and answer.status_code not in _answers(delivery) and answer.status_code != CLIENT_CLOSED_REQUEST:
            log_failures(delivery, answer, verdict)
        if on_progress is not None:
            on_progress(report.sent)

    async with HttpClient(url) as client:
        transport = PlatformTransport(client, signer, chosen.timeout_seconds, signed_url or url)
        sender = Sender(
            transport, chosen, clock or SystemClock(), log=log, observe=observe, connections=connections, rate=rate
        )
        await sender.send(posts)
    return report


def _answers(delivery: Delivery) -> tuple[int, ...]:
    return FAULTS[FaultName(delivery.kind)].answers if delivery.kind else (200,)


def _is_expected(delivery: Delivery, answer: Answer, said: str) -> bool:
    answers = _answers(delivery)
    if answers == (200,) and 200 <= (answer.status_code or 0) < 300:
        # Receivers other than ours need not say more than the status.
        return said in {"quarantined", ""} if delivery.kind in _QUARANTINED else said != "quarantined"
    return not answers or answer.status_code in answers


def _said(answer: Answer) -> str:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return ""
    return str(said.get("status", "")) if isinstance(said, dict) else ""
