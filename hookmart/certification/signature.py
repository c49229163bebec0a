"""The headers by which the holder of a source's secret proves a request, for every scheme that a receiver knows."""

import base64
import hmac
import math
from dataclasses import dataclass
from datetime import UTC, datetime

from ingest.sources import Scheme, Secret

HeaderList = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Signer:
    """
    Signs as one source does.

    Attributes:
        secret: None where the scheme needs none.
    """

    scheme: Scheme
    secret: Secret | None

    def headers(self, body: bytes, now: datetime, *, message_id: str, url: str, method: str = "POST") -> HeaderList:
        """
        Return the headers that prove *body*.

        Args:
            now: Timezone-aware; what is signed as the time of sending.
            message_id: What stands for `{id}`.
            url: As the receiver is known to its senders.
        """
        scheme = self.scheme
        if self.secret is None or scheme.algorithm == "none":
            return []
        if scheme.algorithm == "token":
            return [(scheme.header, scheme.prefix + self._written(self.secret.key))]
        time = self._time(now)
        digest = self._digest(self.secret.key, self._message(body, time, message_id, url, method))
        value = scheme.prefix + self._written(digest)
        if scheme.timestamp_prefix is not None:
            value = f"{scheme.timestamp_prefix}{time}{scheme.separator}{value}"
        headers = [(scheme.header, value)]
        headers += [(scheme.timestamp_header, time)] if scheme.timestamp_header is not None else []
        headers += [(scheme.id_header, message_id)] if scheme.id_header is not None else []
        return headers

    def _message(self, body: bytes, time: str, message_id: str, url: str, method: str) -> bytes:
        values = {
            "id": message_id.encode(), "timestamp": time.encode(), "body": body,
            "method": method.encode(), "url": self.scheme.plan.url(url),
        }  # fmt: skip
        return b"".join(values[part] if isinstance(part, str) else part for part in self.scheme.plan.signed)

    def _digest(self, key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, self.scheme.algorithm.removeprefix("hmac-"))

    def _written(self, value: bytes) -> str:
        match self.scheme.encoding:
            case "hex":
                return value.hex()
            case "base64":
                return base64.b64encode(value).decode()
        return value.decode("latin-1")

    def _time(self, now: datetime) -> str:
        match self.scheme.timestamp_unit:
            case "seconds":
                return str(math.floor(now.timestamp()))
            case "milliseconds":
                return str(math.floor(now.timestamp() * 1000))
        return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def can_sign(secret: Secret) -> bool:
    """Return whether its holder can sign; with a public key only the sender can."""
    return not secret.is_public
