"""
Personal data of a platform's payload goes out before anything is written, as that of our own events does.

A platform has names of its own for what identifies a person: its mapping says where they stand. E-mail addresses are
looked for everywhere, in values too: an operator may have made an id or a link of one.
"""

from ingest.privacy import document_without_personal_data, unreadable_without_personal_data
from mappings.personal import (
    PersonalData,
    read_exactly,
    text_without_addresses,
    without_addresses,
    written_exactly,
)


def without_platform_personal_data(body: bytes, key: bytes | None, personal: PersonalData) -> bytes:
    """
    Return *body* without personal data, its numbers to the digit as sent; the very same bytes where there is none.

    Args:
        body: As sent; need not be JSON.
        key: Of the hashes; None drops what would be hashed.
        personal: Where this platform keeps it.
    """
    try:
        document = read_exactly(body)
        cleaned = without_addresses(document_without_personal_data(personal.removed_from(document, key), key), key)
        return body if cleaned == read_exactly(body) else written_exactly(cleaned).encode("utf-8", "replace")
    except (ValueError, RecursionError):  # no JSON, or nested too deep to write
        readable = unreadable_without_personal_data(body).decode("utf-8", "surrogateescape")
        return text_without_addresses(readable).encode("utf-8", "surrogateescape")
