"""Which frames a decoder owes: the only way to notice the ones it drops without a word."""

from __future__ import annotations

import heapq


class TimestampLedger:
    """Compares the timestamps that went into a decoder with those that come out.

    A decoder that meets damaged data raises an error for one frame, stays silent about others (those that lean on
    it), and reports both late, because it reorders frames and works on several at once. Timestamps tell which frames
    are missing; counting errors does not.

    Args:
        hides_packets: The codec has packets that never become a frame of their own (VP8's reference frames). A gap
            then means a lost frame only together with an error.
    """

    def __init__(self, *, hides_packets: bool = False) -> None:
        self._hides_packets = hides_packets
        self._gaps_prove_nothing = hides_packets
        self._owed: list[int] = []
        self._opened_at: int | None = None
        self._failed = False
        self._latest: int | None = None
        self._reported: set[int] = set()

    @property
    def owed(self) -> list[int]:
        """Timestamps that went in and did not come out, in order."""
        return sorted(self._owed)

    def sent(self, timestamp: int, *, can_open: bool) -> None:
        """Note a packet that was given to the decoder.

        Args:
            timestamp: When its frame is shown.
            can_open: Whether decoding may begin with it. Packets before the first such, in the file or in time, are
                what a cut has left of frames that refer to the part cut off; no player shows them, none are owed.
        """
        self._reported.discard(timestamp)
        if self._opened_at is None and can_open:
            self._opened_at = timestamp
        if self._opened_at is not None and timestamp >= self._opened_at:
            heapq.heappush(self._owed, timestamp)

    def failed(self) -> None:
        """Note that the decoder raised an error."""
        self._failed = True

    def is_late(self, timestamp: int) -> bool:
        """Whether a decoded frame was reported as lost before: its place in the numbering is taken."""
        return timestamp in self._reported

    def received(self, timestamp: int, *, is_interlaced: bool = False) -> list[int]:
        """Note a decoded frame.

        Args:
            timestamp: Its timestamp.
            is_interlaced: Its two fields may have come in two packets, so a gap proves nothing.

        Returns:
            Timestamps of the frames lost before it, in order.
        """
        missing = self._pop_before(timestamp)
        if self._owed and self._owed[0] == timestamp:
            heapq.heappop(self._owed)
        self._gaps_prove_nothing = self._hides_packets or is_interlaced
        lost = self._lost_among(missing)
        self._latest = timestamp
        self._failed = False
        return lost

    def finished(self) -> list[int]:
        """Timestamps of the frames that are still owed when the decoder has nothing left, in order."""
        lost = self._lost_among(self.owed)
        self._owed.clear()
        return lost

    def _pop_before(self, timestamp: int) -> list[int]:
        popped = []
        while self._owed and self._owed[0] < timestamp:
            popped.append(heapq.heappop(self._owed))
        return popped

    def _lost_among(self, missing: list[int]) -> list[int]:
        if self._gaps_prove_nothing and not self._failed:
            return []
        # What lies before the last frame comes from a clock that was set back; it is not a loss.
        lost = [timestamp for timestamp in missing if self._latest is None or timestamp > self._latest]
        self._reported.update(lost)
        return lost
