"""How often somebody else's receiver holds an event, asked where its operator says."""

from dataclasses import dataclass

import httpx

from hookmart.certification.wire import is_this_machine
from ingest.errors import SettingsError

_COUNT_SECONDS = 10.0
_PLACE = "{event_id}"


@dataclass(frozen=True, slots=True)
class CountUrl:
    """
    Where somebody else's receiver says how often it holds an event.

    Attributes:
        template: `{event_id}` stands for the id; the answer is a number, or an object with one as `count`.
    """

    template: str

    def __post_init__(self) -> None:
        """
        Look at the template.

        Raises:
            SettingsError: It has no place for an id.
        """
        if _PLACE not in self.template:
            raise SettingsError(f"--count-url needs {_PLACE} where the id of an event is to stand.")

    def count(self, event_id: str) -> int | None:
        """Return how often *event_id* is held; None where no number came."""
        url = self.template.replace(_PLACE, event_id)
        try:
            answer = httpx.get(url, timeout=_COUNT_SECONDS, trust_env=not is_this_machine(url))
            said = answer.raise_for_status().json()
            return int(said["count"] if isinstance(said, dict) else said)
        except (httpx.HTTPError, ValueError, TypeError, KeyError):
            return None
