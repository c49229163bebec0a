"""Tiers that are reached in the course of a month and hold for the whole of it: commissions are rated anew."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Self

from simulator.cast import TierMove
from simulator.commissions import Commission
from simulator.conversions import Conversion
from simulator.deals import Earning
from simulator.journal import Journal
from simulator.steps import owed
from simulator.verdicts import RETRO_TIER


@dataclass(slots=True)
class Rise:
    """
    What a commission gains by a tier that is reached later, and holds for it as well; taken once.

    Attributes:
        at: None where no such tier is reached, or nothing is gained by it.
    """

    earning: Earning
    conversion: Conversion
    commission: Commission
    move: TierMove | None
    at: datetime | None
    is_taken: bool = False

    @classmethod
    def of(cls, rng: Random, earning: Earning, conversion: Conversion, commission: Commission) -> Self:
        member = commission.member
        move = member.move_behind(commission.calculated_at)
        # The job that works through the month's commissions takes some hours.
        at = None if move is None else move.at + timedelta(minutes=5, seconds=rng.randint(0, 6 * 3600))
        return cls(earning, conversion, commission, move, at if earning is member.profile.deal.main else None)

    @property
    def is_to_come(self) -> bool:
        return self.at is not None and not self.is_taken

    def take_before(self, journal: Journal, moment: datetime) -> None:
        if self.at is not None and self.at < moment:
            self.take(journal)

    def take(self, journal: Journal) -> None:
        if self.at is None or self.move is None or self.is_taken or not self.commission.amount:
            return
        self.is_taken = True
        delta = owed(self.conversion, self.earning, self.move.new) - owed(
            self.conversion, self.earning, self.move.previous
        )
        if delta and self.commission.member.is_active(self.at):
            self.commission.adjust(journal, self.at, delta, RETRO_TIER)
