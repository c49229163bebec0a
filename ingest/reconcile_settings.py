"""What the configuration says of a platform's own report, so that it can be compared with the warehouse."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ingest.setting_types import CurrencyCode, Section, TimeZone

ReportKind = Literal[
    "conversion",
    "conversion_qualified",
    "conversion_rejected",
    "rejection",
    "commission",
    "commission_earned",
    "commission_adjusted",
    "payout",
    "payout_returned",
]


def _exact(value: object) -> object:
    # By its text: 0.01 as a float is a little more than a cent.
    return repr(value) if isinstance(value, float) else value


Header = Annotated[str, Field(min_length=1)]


class ReportColumns(Section):
    """The headers of the columns, each under what it holds; what a report does not have is not compared."""

    id: Header | None = None
    partner: Header | None = None
    day: Header | None = None
    timestamp: Header | None = None
    currency: Header | None = None
    kind: Header | None = None
    amount: Header | None = None
    count: Header | None = None


class ReportConstants(Section):
    """What holds for every row whose own cell is blank, or that has no such column."""

    partner: str | None = Field(default=None, min_length=1)
    currency: CurrencyCode | None = None
    kind: ReportKind | None = None


class ReportMoney(Section):
    """Which money of ours the amounts are."""

    conversion: Literal["value", "commission"] = "value"
    rejection: Literal["value", "avoided", "claw_back"] = "value"
    payout: Literal["amount", "debit", "gross", "settled", "fee"] = "amount"


class ReportSettings(Section):
    """
    One report of a platform.

    Attributes:
        source: Whose events it is about; the only source by default.
        rows: A row is one `event`, or the sums of several; by default events where there is a column of ids.
        timezone: Of its days and of its timestamps without an offset; the reporting timezone by default.
        tolerance: A difference of an amount up to this is none.
        conversions_by: Which time of ours the day of a conversion is.
    """

    source: str | None = None
    columns: ReportColumns
    constants: ReportConstants = ReportConstants()
    kinds: dict[str, ReportKind | Literal["ignored"]] = Field(default_factory=dict)
    money: ReportMoney = ReportMoney()
    rows: Literal["events", "sums"] | None = None
    timezone: TimeZone | None = None
    date_format: str | None = Field(default=None, min_length=2)
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'", "’"] = ""  # noqa: RUF001 - Swiss exports part thousands with either
    minor_units: bool = False
    tolerance: Annotated[Decimal, BeforeValidator(_exact)] = Field(default=Decimal(0), ge=0, lt=Decimal(10**12))
    conversions_by: Literal["change", "creation", "occurrence"] = "change"
    sheet: str | None = None
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    skip_rows: int = Field(default=0, ge=0)
    skip_last_rows: int = Field(default=0, ge=0)

    @property
    def are_sums(self) -> bool:
        """Whether a row may stand for several events."""
        return self.columns.id is None if self.rows is None else self.rows == "sums"

    @model_validator(mode="after")
    def _can_be_compared(self) -> Self:
        columns = self.columns
        if columns.kind is None and self.constants.kind is None:
            raise ValueError("it does not say what its rows are; name the column `kind`, or give `constants.kind`")
        if columns.day is not None and columns.timestamp is not None:
            raise ValueError("it has `day` and `timestamp` among its columns; name the one to compare by")
        if columns.amount is not None and columns.currency is None and self.constants.currency is None:
            raise ValueError("its amounts have no currency; name the column `currency`, or give `constants.currency`")
        if self.are_sums and columns.id is not None:
            raise ValueError('its rows are sums and have an id; take the column `id` out, or say rows = "events"')
        if self.are_sums and columns.amount is None and columns.count is None:
            raise ValueError("it has neither `amount` nor `count` among its columns, so nothing to compare; name one")
        if not self.are_sums and columns.count is not None:
            raise ValueError('its rows are one event each and have a count; take it out, or say rows = "sums"')
        if self.decimal == self.thousands:
            raise ValueError("`decimal` and `thousands` are the same; give each its own")
        return self

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"{self.encoding!r} is not a text encoding; give one such as utf-8 or cp1252") from None
        return self
