"""
The optional inputs: what no webhook carries, and files or another database do.

One table of `raw` each. What is absent is null, never 0.
"""

from dataclasses import dataclass
from enum import StrEnum


class InputKind(StrEnum):
    """What a column of an input holds."""

    TEXT = "text"
    CURRENCY = "currency"  # upper-cased on the way in
    DAY = "day"
    MONTH = "month"  # as its first day
    MOMENT = "moment"  # in UTC
    MONEY = "money"  # decimal(28, 8)
    QUANTITY = "quantity"  # decimal(38, 18)
    RATE = "rate"  # decimal(38, 18), above 0
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class InputColumn:
    """
    A column of an input.

    Attributes:
        name: In `raw`, and in the file unless it is configured otherwise.
        is_required: Whether a row without it is wrong.
    """

    name: str
    kind: InputKind
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class InputTable:
    """
    One input.

    Attributes:
        name: In the schema `raw`, and in the configuration.
        key: Columns that identify a row; of two rows with one key the later stays.
        one_of: Columns of which a row needs at least one; empty: none.
        dates_money: Whether every entry of the ledger depends on it, however old; then a change means a full build.
    """

    name: str
    columns: tuple[InputColumn, ...]
    key: tuple[str, ...]
    one_of: tuple[str, ...] = ()
    dates_money: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that a row cannot do without."""
        return tuple(column.name for column in self.columns if column.is_required)


_SOURCE = InputColumn("source_id", InputKind.TEXT, is_required=True)
_CURRENCY = InputColumn("currency", InputKind.CURRENCY, is_required=True)


def _money(*names: str) -> tuple[InputColumn, ...]:
    return tuple(InputColumn(name, InputKind.MONEY) for name in names)


INPUTS: dict[str, InputTable] = {
    table.name: table
    for table in (
        InputTable(
            "player_activity",
            (
                _SOURCE,
                InputColumn("customer_id", InputKind.TEXT, is_required=True),
                InputColumn("activity_date", InputKind.DAY, is_required=True),
                _CURRENCY,
                *_money("ggr", "bonus_cost", "chargebacks", "payment_fees", "gaming_tax", "other_deductions"),
                *_money("deposits", "withdrawals"),
                InputColumn("lots", InputKind.QUANTITY),
                InputColumn("is_active", InputKind.FLAG),
            ),
            key=("source_id", "customer_id", "activity_date", "currency"),
        ),
        InputTable(
            "marketing_spend",
            (
                InputColumn("spend_date", InputKind.DAY, is_required=True),
                _SOURCE,
                InputColumn("partner_id", InputKind.TEXT),
                InputColumn("campaign_id", InputKind.TEXT),
                InputColumn("amount", InputKind.MONEY, is_required=True),
                _CURRENCY,
            ),
            key=("spend_date", "source_id", "partner_id", "campaign_id", "currency"),
            one_of=("partner_id", "campaign_id"),
        ),
        InputTable(
            "fx_rates",
            (
                InputColumn("rate_date", InputKind.DAY, is_required=True),
                InputColumn("base_currency", InputKind.CURRENCY, is_required=True),
                InputColumn("quote_currency", InputKind.CURRENCY, is_required=True),
                InputColumn("rate", InputKind.RATE, is_required=True),
            ),
            key=("rate_date", "base_currency", "quote_currency"),
            dates_money=True,
        ),
        InputTable(
            "accounting_periods",
            (
                InputColumn("period_month", InputKind.MONTH, is_required=True),
                InputColumn("closed_at", InputKind.MOMENT),
            ),
            key=("period_month",),
            dates_money=True,
        ),
    )
}
