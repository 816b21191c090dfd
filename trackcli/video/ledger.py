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
        self._owed: list[int] = []
        self._has_keyframe = False
        self._failed = False
        self._latest: int | None = None

    def sent(self, timestamp: int, *, is_keyframe: bool) -> None:
        """Note a packet that was given to the decoder; those before the first key frame cannot be decoded."""
        self._has_keyframe = self._has_keyframe or is_keyframe
        if self._has_keyframe:
            heapq.heappush(self._owed, timestamp)

    def failed(self) -> None:
        """Note that the decoder raised an error."""
        self._failed = True

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
        # Before the first frame, gaps are pictures that refer to a time before the file begins; no player shows them.
        counts = self._failed or not (self._latest is None or self._hides_packets or is_interlaced)
        lost = self._after_latest(missing) if counts else []
        self._latest = timestamp
        self._failed = False
        return lost

    def finished(self) -> list[int]:
        """Timestamps of the frames that are still owed when the decoder has nothing left, in order."""
        lost = self._after_latest(sorted(self._owed)) if self._failed or not self._hides_packets else []
        self._owed.clear()
        return lost

    def _pop_before(self, timestamp: int) -> list[int]:
        popped = []
        while self._owed and self._owed[0] < timestamp:
            popped.append(heapq.heappop(self._owed))
        return popped

    def _after_latest(self, timestamps: list[int]) -> list[int]:
        """Leave out what lies before the last frame: a clock that was set back, not a loss."""
        return [timestamp for timestamp in timestamps if self._latest is None or timestamp > self._latest]
