"""The monthly payout runs of the played programme: everybody is paid what is open, and some payouts go wrong."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from simulator.cast import Member, Span
from simulator.commissions import Adjustment, Item, adjust_account
from simulator.conversions import Rejection
from simulator.journal import Journal
from simulator.journeys import Accounts
from simulator.payouts import REFUSED_BY_BANK, RETURNED, WALLET_BLOCKED, Payout
from simulator.roster import Plot
from simulator.wire import actor

# Keeps the body of a payout event far below a megabyte in programmes of any size.
_MOST_ITEMS = 400

_CHARGED_BACK = Rejection("chargeback", "commercial", "provider", "card chargeback after the partner was paid")
_CLAWBACK = Adjustment("clawback", "chargeback", "card chargeback", actor("user", "fin_3"), is_after_payout=True)
_FORFEIT = Adjustment("termination_forfeit", "terms_violation", "balance at termination", actor("user", "fin_3"))


def run_payouts(rng: Random, journal: Journal, members: list[Member], span: Span, accounts: Accounts) -> None:
    """Pay on the fifth of each month what was payable by then; at the end, forfeit what the terminated have left."""
    runs = [first + timedelta(days=4, hours=8) for first in span.first_of_months()]
    # A run whose end lies beyond the programme is the last one, but nobody would see its failure.
    last_settled = max((run for run in runs if run + timedelta(days=3) < span.until), default=None)
    for member in members:
        cashier = _Cashier(rng, journal, member, accounts)
        for run in runs:
            cashier.pay(run + timedelta(minutes=member.number), is_last=run == last_settled)
        cashier.close()


class _Cashier:
    """Pays one partner, run by run."""

    def __init__(self, rng: Random, journal: Journal, member: Member, accounts: Accounts) -> None:
        self._rng = rng
        self._journal = journal
        self._member = member
        self._open = accounts.items[member.partner_id]
        self._returned: Payout | None = None
        self._has_been_paid = False
        self._has_clawed_back = False

    def pay(self, at: datetime, *, is_last: bool) -> None:
        if not self._member.is_active(at):
            return
        # What takes away comes first, so that it never waits behind what is paid out.
        due = sorted((item for item in self._open if item.payable_from < at), key=lambda item: item.amount)
        for start in range(0, len(due), _MOST_ITEMS):
            items = due[start : start + _MOST_ITEMS]
            if sum((item.amount for item in items), Decimal(0)) < self._member.min_payout:
                return
            retry_of, self._returned = self._returned, None
            self._settle(self._payout(at, items, retry_of), is_last=is_last)

    def close(self) -> None:
        """Forfeit what is left, when the partner was terminated."""
        member = self._member
        if member.profile.plot is not Plot.TERMINATED or member.left_at is None:
            return
        left = sum((item.amount for item in self._open), Decimal(0))
        if left > 0:
            adjust_account(self._journal, member, member.left_at + timedelta(hours=1), -left, _FORFEIT)

    def _payout(self, at: datetime, items: list[Item], retry_of: Payout | None) -> Payout:
        profile = self._member.profile
        needs_rate = profile.currency != profile.payout_currency
        return Payout(
            payout_id=self._journal.name("po"),
            batch_id=f"bat_{self._journal.tag}_{at:%Y_%m}",
            member=self._member,
            items=items,
            rate=Decimal(self._rng.randint(8900, 9300)).scaleb(-4) if needs_rate else None,
            scheduled_at=at,
            attempt=retry_of.attempt + 1 if retry_of else 1,
            retry_of=retry_of.payout_id if retry_of else None,
        )

    def _settle(self, payout: Payout, *, is_last: bool) -> None:
        """Take a payout from scheduled to its end, as the partner's plot has it."""
        journal, plot = self._journal, self._member.profile.plot
        is_first, self._has_been_paid = not self._has_been_paid, True
        paid = {id(item) for item in payout.items}
        self._open[:] = [item for item in self._open if id(item) not in paid]
        payout.schedule(journal)
        submitted_at = payout.scheduled_at + timedelta(days=1, minutes=self._rng.randint(30, 240))
        payout.process(journal, submitted_at)
        ends_at = submitted_at + timedelta(hours=self._rng.randint(8, 30), minutes=self._rng.randint(0, 59))
        if plot is Plot.FAILED_PAYOUT and is_first:
            again_at = ends_at + timedelta(days=3)
            payout.fail(journal, ends_at, REFUSED_BY_BANK, again_at)
            self._settle(self._payout(again_at, payout.items, payout), is_last=is_last)
            return
        if plot is Plot.OPEN_FAILURE and is_last:
            payout.fail(journal, ends_at, WALLET_BLOCKED)
            self._take_back(payout, ends_at)
            return
        payout.complete(journal, ends_at)
        if plot is Plot.BANK_RETURN and is_first:
            returned_at = ends_at + timedelta(days=6)
            payout.fail(journal, returned_at, RETURNED)
            self._take_back(payout, returned_at)
        if plot is Plot.CLAWED_BACK and not self._has_clawed_back:
            self._claw_back(payout, ends_at + timedelta(days=10))

    def _take_back(self, payout: Payout, at: datetime) -> None:
        self._open.extend(replace(item, payable_from=at) for item in payout.items)
        self._returned = payout

    def _claw_back(self, payout: Payout, at: datetime) -> None:
        """Take back the whole of the first commission of this payout that a customer's payment stood behind."""
        for item in payout.items:
            commission = item.commission
            if commission is None or commission.conversion is None or commission.model == "override":
                continue
            commission.conversion.reject(self._journal, at, _CHARGED_BACK)
            delta = -commission.amount
            self._has_clawed_back = True
            self._open.append(commission.adjust(self._journal, at + timedelta(seconds=5), delta, _CLAWBACK))
            return
