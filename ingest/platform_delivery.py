"""
From a verified body of a platform to the line that stands for it in the stage.

The line holds the platform's body, without its personal data: the loader maps it, so that a corrected mapping can be
applied to what was received before. Here the mapping only says what to answer.
"""

import hashlib
from datetime import datetime

from ingest.delivery import Delivery, kept, legible, rfc3339
from ingest.platform_privacy import without_platform_personal_data
from ingest.staging import IGNORED, StagedLine
from mappings.errors import Unmappable
from mappings.mapping import Mapping


def platform_line(
    delivery: Delivery,
    received_at: datetime,
    secret_name: str,
    body: bytes,
    mapping: Mapping,
    privacy_key: bytes | None,
) -> StagedLine:
    """
    Return the line of *body*: accepted, if the mapping makes events of it; quarantined, if it does not.

    A payload that the mapping ignores is quarantined with the reason IGNORED, which the loader makes nothing of.

    Args:
        received_at: Timezone-aware.
        secret_name: Of the secret that verified it.
        body: Verified, and no longer compressed. Personal data in it goes no further.
        privacy_key: Of the hashes that take the place of personal data; None drops it.
    """
    cleaned = without_platform_personal_data(body, privacy_key, mapping.personal)
    payload, in_base64 = kept(cleaned)
    line = StagedLine(
        is_delivery=True,
        delivery_id=delivery.delivery_id,
        source_id=delivery.source_name,
        received_at=rfc3339(received_at),
        status_code=200,
        outcome="quarantined",
        response_ms=delivery.milliseconds(),
        body_bytes=delivery.body_bytes,
        secret_name=secret_name,
        body_sha256=hashlib.sha256(body).hexdigest(),
        payload=payload,
        payload_base64=in_base64,
    )
    try:
        mapped = mapping.apply(cleaned)
    except Unmappable as fault:
        line.reason, line.detail = fault.reason, legible(fault.detail)
        line.event_type = mapping.label(fault.platform_type)
        return line
    line.event_type = mapping.label(mapped.platform_type)
    if not mapped.events:
        line.reason, line.detail = IGNORED, mapped.reason_ignored
        return line
    header = mapped.events[0].header
    line.outcome, line.event_id, line.occurred_at = "accepted", header.event_id, header.occurred_at_text
    line.has_synthetic_id = header.has_synthetic_id
    return line
