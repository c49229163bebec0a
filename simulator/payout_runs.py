"""The payout runs of a played programme: everybody is paid what is open, and some payouts go wrong."""

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from simulator.agenda import Diary
from simulator.cast import Member, Span
from simulator.commissions import Commission, adjust_account
from simulator.journal import Journal
from simulator.payouts import REFUSED_BY_BANK, RETURNED, WALLET_BLOCKED, Item, Payout
from simulator.postings import Posting
from simulator.roster import Plot
from simulator.verdicts import CHARGED_BACK, CLAWBACK, FORFEIT, TRANSFER
from simulator.wire import WORTH_OF_ONE_EURO

# Keeps the body of a payout event far below a megabyte in programmes of any size.
_MOST_ITEMS = 250
_MOST_DOUBTFUL = 20


class Cashier:
    """
    Pays everybody, by what the books say is payable.

    On the fifth of each month, and in between whoever has very many items open.
    """

    def __init__(self, rng: Random, journal: Journal, diary: Diary, members: list[Member], span: Span) -> None:
        self._diary = diary
        self._desks = {member.partner_id: _Desk(rng, journal, diary, member) for member in members}
        runs = [first + timedelta(days=4, hours=8) for first in span.first_of_months()]
        # A run whose end lies beyond the programme is the last one, but nobody would see its failure.
        last_settled = max((run for run in runs if run + timedelta(days=3) < span.until), default=None)
        for number, desk in enumerate(self._desks.values()):
            for run in runs:
                pay = desk.pay_last if run == last_settled else desk.pay
                diary.add(run + timedelta(minutes=number % 600), pay)
            left_at = desk.member.left_at
            if left_at is not None:
                diary.add(left_at + timedelta(hours=1), desk.close)

    def open(self, posting: Posting, _at: datetime) -> None:
        """Let the next payout settle what *posting* made payable, if it did."""
        if not posting.is_due:
            return
        desk = self._desks[posting.partner_id]
        desk.items.append(Item(posting.payable, posting.commission_id, posting.adjustment_id))
        if len(desk.items) % _MOST_ITEMS == 0:
            self._diary.add(self._diary.now + timedelta(hours=1), desk.pay)

    def doubt(self, commission: Commission) -> None:
        """Have *commission* taken back, once it has been paid."""
        doubtful = self._desks[commission.member.partner_id].doubtful
        if len(doubtful) < _MOST_DOUBTFUL:
            doubtful[commission.commission_id] = commission


class _Desk:
    """Pays one partner."""

    def __init__(self, rng: Random, journal: Journal, diary: Diary, member: Member) -> None:
        self._rng = rng
        self._journal = journal
        self._diary = diary
        self._returned: Payout | None = None
        self._has_been_paid = False
        self.member = member
        self.items: list[Item] = []
        self.doubtful: dict[str, Commission] = {}

    def pay_last(self, at: datetime) -> None:
        self.pay(at, is_last=True)

    def pay(self, at: datetime, *, is_last: bool = False) -> None:
        if not self.member.is_active(at):
            return
        # What takes away comes first, so that it never waits behind what is paid out; then the largest, which make up
        # for it, or all others would wait behind the smallest.
        due = sorted(self.items, key=lambda item: (item.amount >= 0, -item.amount))
        for start in range(0, len(due), _MOST_ITEMS):
            items = due[start : start + _MOST_ITEMS]
            if sum((item.amount for item in items), Decimal(0)) < self.member.min_payout:
                return
            retry_of, self._returned = self._returned, None
            self.items = due[start + _MOST_ITEMS :]
            self._settle(self._payout(at, items, retry_of), is_last=is_last)

    def close(self, at: datetime) -> None:
        """Forfeit, or hand over, what is left when the partner has gone."""
        member = self.member
        left = sum((item.amount for item in self.items), Decimal(0))
        if left <= 0:
            return
        if member.plot is Plot.TERMINATED:
            adjust_account(self._journal, member, at, -left, FORFEIT)
        elif member.plot is Plot.MERGED and member.heir is not None:
            adjust_account(self._journal, member, at, -left, TRANSFER, counterparty=member.heir)
            adjust_account(self._journal, member.heir, at, left, TRANSFER, counterparty=member)

    def _payout(self, at: datetime, items: list[Item], retry_of: Payout | None) -> Payout:
        profile = self.member.profile
        rate = None
        if profile.currency != profile.payout_currency:
            middle = WORTH_OF_ONE_EURO[profile.payout_currency] / WORTH_OF_ONE_EURO[profile.currency]
            rate = (middle * Decimal(self._rng.randint(970, 1010)).scaleb(-3)).quantize(Decimal("0.0001"))
        return Payout(
            payout_id=self._journal.name("po"),
            batch_id=f"bat_{self._journal.tag}_{at:%Y_%m}",
            member=self.member,
            items=items,
            rate=rate,
            scheduled_at=at,
            attempt=retry_of.attempt + 1 if retry_of else 1,
            retry_of=retry_of.payout_id if retry_of else None,
        )

    def _settle(self, payout: Payout, *, is_last: bool) -> None:
        """Take a payout from scheduled to its end, as the partner's plot has it."""
        journal, plot, chance = self._journal, self.member.plot, self._rng.random()
        is_first, self._has_been_paid = not self._has_been_paid, True
        payout.schedule(journal)
        submitted_at = payout.scheduled_at + timedelta(days=1, minutes=self._rng.randint(30, 240))
        payout.process(journal, submitted_at)
        ends_at = submitted_at + timedelta(hours=self._rng.randint(8, 30), minutes=self._rng.randint(0, 59))
        if (plot is Plot.FAILED_PAYOUT and is_first) or (
            plot is not Plot.BANK_RETURN and payout.attempt == 1 and chance < 0.03
        ):
            again_at = ends_at + timedelta(days=3)
            payout.fail(journal, ends_at, REFUSED_BY_BANK, again_at)
            if self.member.is_active(again_at):
                self._settle(self._payout(again_at, payout.items, payout), is_last=is_last)
            return
        if plot is Plot.OPEN_FAILURE and is_last:
            payout.fail(journal, ends_at, WALLET_BLOCKED)
            self._take_back(payout, ends_at)
            return
        payout.complete(journal, ends_at)
        if (plot is Plot.BANK_RETURN and is_first) or chance > 0.99:
            returned_at = ends_at + timedelta(days=6)
            payout.fail(journal, returned_at, RETURNED)
            self._take_back(payout, returned_at)
            return
        self._claw_back(payout, ends_at + timedelta(days=10))

    def _take_back(self, payout: Payout, at: datetime) -> None:
        def reopen(_at: datetime) -> None:
            self.items += payout.items
            self._returned = payout

        self._diary.add(at, reopen)

    def _claw_back(self, payout: Payout, at: datetime) -> None:
        """Take back the whole of what this payout paid for customers who have cheated."""
        for item in payout.items:
            commission = self.doubtful.pop(item.commission_id or "", None)
            if commission is None or commission.conversion is None or commission.amount <= 0:
                continue
            commission.payout_id = payout.payout_id
            commission.conversion.reject(self._journal, at, CHARGED_BACK)
            commission.adjust(self._journal, at + timedelta(seconds=5), -commission.amount, CLAWBACK)
