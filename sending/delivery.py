"""One thing to deliver."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    One body, to be posted until it is delivered or given up.

    Attributes:
        delivery_id: Unique among all that one log sees, and the same when the same is sent again after a restart.
        event_id: Of the event in the body; several deliveries may carry one.
        body: Exactly the bytes to sign and to post.
        kind: What the transport has to know of it to post it; kept in the log beside the body.
        is_apart: Posted at once, beside the other connections and the rate.
    """

    delivery_id: str
    event_id: str
    body: bytes
    kind: str = ""
    is_apart: bool = False
