"""A played programme on its way to a receiver: what comes in time, and, once its month is closed, what comes late."""

from collections.abc import Callable, Iterable
from typing import Protocol

from sending.delivery import Delivery
from simulator.delivery import deliveries
from simulator.faults import Faults
from simulator.journal import Event
from simulator.late_mail import LateMail
from simulator.sender import SendReport


class Post(Protocol):
    """Posts deliveries, and goes on with the report of what was posted before."""

    async def __call__(self, posts: Iterable[Delivery], *, report: SendReport | None = None) -> SendReport:
        """Return once each is done."""


async def post_programme(
    post: Post, events: Iterable[Event], faults: Faults, seed: int, close_months: Callable[[], None] | None
) -> SendReport:
    """
    Post all *events* with *faults*.

    Args:
        close_months: Called when all that comes in time has been answered; what comes late is posted after it. None
            where no month is closed, and so nothing is late.
    """
    if close_months is None:
        return await post(deliveries(events, faults, seed))
    with LateMail() as mail:
        report = await post(deliveries(mail.in_time(events), faults, seed))
        close_months()
        return await post(deliveries(mail.late(), faults, seed), report=report)
