"""How much the receiver holds at one time, and when it turns requests away."""

from ingest.errors import Refused

_REQUEST_BYTES = 4096
"""What a request takes besides its body: of a flood of small ones, this is most."""


class InFlight:
    """
    The bytes of all requests being answered, between a high and a low water mark.

    Once the high mark is reached, every new request is refused until the low mark is: a receiver at its limit would
    otherwise take and refuse in turns, and finish nothing sooner.
    """

    def __init__(self, high: int, low: int) -> None:
        self.bytes = 0
        self._high = high
        self._low = low
        self._is_shedding = False

    def admit(self) -> int:
        """
        Count a new request; return what it counts for by itself.

        Raises:
            Refused: Too much is being held.
        """
        if self._is_shedding:
            if self.bytes > self._low:
                raise Refused("too_much_in_flight")
            self._is_shedding = False
        self.bytes += _REQUEST_BYTES
        return _REQUEST_BYTES

    def grow(self, count: int) -> None:
        """
        Count *count* bytes more of a request that was admitted; they are counted even where they are refused.

        Raises:
            Refused: They are too much.
        """
        self.bytes += count
        if self.bytes > self._high:
            self._is_shedding = True
            raise Refused("too_much_in_flight")

    def release(self, count: int) -> None:
        """Forget *count* bytes: their request has its answer."""
        self.bytes -= count
