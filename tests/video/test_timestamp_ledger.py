from types import SimpleNamespace

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackcli.video.files import VideoReader
from trackcli.video.ledger import TimestampLedger


def test_nothing_is_lost_while_all_comes_out_in_whatever_order_it_went_in():
    ledger = TimestampLedger()
    for timestamp in (0, 30, 10, 20):
        ledger.sent(timestamp, can_open=timestamp == 0)
    assert [ledger.received(timestamp) for timestamp in (0, 10, 20, 30)] == [[], [], [], []]
    assert ledger.finished() == []


def test_a_gap_is_reported_by_the_next_frame():
    ledger = TimestampLedger()
    for timestamp in range(5):
        ledger.sent(timestamp, can_open=True)
    assert ledger.received(0) == []
    assert ledger.received(3) == [1, 2]
    assert ledger.finished() == [4]


def test_a_frame_that_comes_after_it_was_reported_lost_is_late():
    ledger = TimestampLedger()
    for timestamp in range(4):
        ledger.sent(timestamp, can_open=True)
    assert ledger.received(0) == []
    assert ledger.received(2) == [1]
    assert [ledger.is_late(timestamp) for timestamp in (0, 1, 2, 3)] == [False, True, False, False]
    ledger.sent(1, can_open=True)  # a clock that was set back
    assert not ledger.is_late(1)


def test_a_late_picture_takes_no_number_of_its_own(write_video):
    path = write_video("a.mp4", codec="libx264", pix_fmt="yuv420p")
    with av.open(str(path)) as container:
        reader = VideoReader("a.mp4", container, container.streams.video[0], pytest.fail)
        ledger = TimestampLedger()
        for timestamp in range(4):
            ledger.sent(timestamp, can_open=True)
        pictures = [SimpleNamespace(pts=pts, interlaced_frame=False) for pts in (0, 2, 1, 3)]
        slots = [slot for picture in pictures for slot in reader._with_lost_before(picture, ledger)]
    assert [(slot.timestamp, slot.picture is None) for slot in slots] == [(0, False), (1, True), (2, False), (3, False)]


def test_what_precedes_the_first_key_frame_is_not_owed():
    ledger = TimestampLedger()
    for timestamp, is_key in ((1, False), (2, False), (6, True), (4, False), (5, False)):
        ledger.sent(timestamp, can_open=is_key)
    assert ledger.owed == [6]
    assert ledger.received(6) == []


def test_a_codec_with_hidden_packets_loses_frames_only_together_with_an_error():
    ledger = TimestampLedger(hides_packets=True)
    for timestamp in range(6):
        ledger.sent(timestamp, can_open=True)
    assert ledger.received(1) == []
    ledger.failed()
    assert ledger.received(3) == [2]
    assert ledger.received(5) == []


def test_the_second_field_of_an_interlaced_frame_is_no_frame():
    ledger = TimestampLedger()
    for timestamp in range(4):
        ledger.sent(timestamp, can_open=True)
    assert ledger.received(0, is_interlaced=True) == []
    assert ledger.received(2, is_interlaced=True) == []
    assert ledger.finished() == []


def test_a_clock_that_is_set_back_loses_nothing():
    ledger = TimestampLedger()
    for timestamp in (100, 101, 102):
        ledger.sent(timestamp, can_open=timestamp == 100)
    assert ledger.received(100) == []
    ledger.sent(0, can_open=True)
    assert ledger.received(101) == []
    assert ledger.finished() == [102]


@given(st.sets(st.integers(0, 200), min_size=1), st.randoms())
def test_received_and_lost_are_together_what_was_sent(timestamps, random):
    ordered = sorted(timestamps)
    survivors = [timestamp for timestamp in ordered if random.random() < 0.7]
    ledger = TimestampLedger()
    for timestamp in ordered:
        ledger.sent(timestamp, can_open=True)
    seen = []
    for timestamp in survivors:
        seen += [*ledger.received(timestamp), timestamp]
    assert seen + ledger.finished() == ordered
