"""What can be wrong with a mapping, and with a payload that is to be mapped."""

from typing import Literal

Reason = Literal["malformed_json", "not_an_object", "unknown_type", "mapping", "contract"]


class MappingError(ValueError):
    """A mapping file cannot be used; the message is a sentence that says where and what to do."""


class Unmappable(Exception):
    """
    A payload that the mapping makes no event of.

    Attributes:
        reason: One word to count by: as of the contract, or "mapping": a value is not what the mapping says it is.
        detail: Where and what, by path; never a value that was sent.
        platform_type: What the platform calls it, where that could be read.
    """

    def __init__(self, reason: Reason, detail: str, platform_type: str | None = None) -> None:
        """Keep what was found."""
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail
        self.platform_type = platform_type
