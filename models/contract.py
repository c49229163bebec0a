"""The base of every object in a contract."""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """
    An object as sent: immutable, typed, tolerant of what it does not know.

    A field takes its own JSON type and no other: a string field refuses a number, a boolean refuses `"true"`. Null and
    absent mean the same in an optional field. A field the contract does not know never fails; it stays in the raw
    payload.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")
