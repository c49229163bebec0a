"""Money: an exact amount and the currency it is in."""

from decimal import Decimal
from typing import Annotated

from pydantic_core import core_schema

from models.contract import Contract
from models.currencies import CURRENCY_EXPONENTS
from models.scalars import ReadAs, decimal_text

MoneyAmount = Annotated[
    Decimal, decimal_text(20, 8, "A decimal as a string: at most 20 digits before the point and 8 after it.")
]
"""Signed; fits decimal(28, 8) without rounding."""

Currency = Annotated[
    str,
    ReadAs(
        core_schema.chain_schema(
            [
                # ASCII before the upper-casing: the upper case of a dotless i is a plain I.
                core_schema.str_schema(pattern="^[A-Za-z]{3,5}$", to_upper=True, strict=True),
                # The literal's own message would recite the whole table.
                core_schema.custom_error_schema(
                    core_schema.literal_schema(list(CURRENCY_EXPONENTS)),
                    custom_error_type="unknown_currency",
                    custom_error_message="Not a known currency code",
                ),
            ]
        ),
        {
            "type": "string",
            "enum": sorted(CURRENCY_EXPONENTS),
            "description": "ISO 4217 or a listed cryptocurrency, in capitals; small letters are read as capitals.",
        },
    ),
]
"""A code of the table in `currencies`, in capitals; one sent in small letters is read as capitals."""


class Money(Contract):
    """
    An amount as sent: `{"amount": "-200.00", "currency": "EUR"}`.

    The amount is a string, never a JSON number, and nothing is ever rounded: more than eight decimals, a plus sign, a
    leading zero or an exponent is refused.
    """

    amount: MoneyAmount
    currency: Currency
