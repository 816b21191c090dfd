from pathlib import Path

import av
import numpy as np
import pytest

from trackcli.errors import InputDataError, UsageError
from trackcli.video.sources import open_source


def read(path, **options):
    warnings = []
    with open_source(str(path), warn=warnings.append, **options) as source:
        return list(source), warnings


def red_corner(image):
    """Which corner of a picture is red."""
    height, width = image.shape[:2]
    corners = {"top left": (4, 4), "top right": (4, width - 5)}
    corners |= {"bottom left": (height - 5, 4), "bottom right": (height - 5, width - 5)}
    [name] = [name for name, (y, x) in corners.items() if int(image[y, x, 0]) - int(image[y, x, 1]) > 120]
    return name


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("b.avi", "libx264", "yuv420p"),
        ("b.mp4", "libx264", "yuv420p10le"),
        ("grey.mkv", "ffv1", "gray"),
        ("alpha.mkv", "ffv1", "bgra"),
    ],
)
def test_every_frame_of_a_video_comes_once_in_order_with_its_time(write_video, number_of, name, codec, pix_fmt):
    frames, warnings = read(write_video(name, codec=codec, pix_fmt=pix_fmt))
    assert warnings == []
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == pytest.approx([number / 25 for number in range(12)])
    assert [number_of(frame.image) for frame in frames] == list(range(12))
    assert {(frame.image.shape, frame.image.dtype.name) for frame in frames} == {((64, 96, 3), "uint8")}


def test_a_source_tells_its_size_rate_name_and_length(write_video):
    with open_source(str(write_video()), warn=print) as source:
        assert (source.name, source.size_wh, source.fps, source.frame_count) == ("clip.mp4", (96, 64), 25.0, 12)
        assert len(list(source)) == 12, "asking for the size must not swallow a frame"


def test_red_is_the_first_channel(write_video):
    frames, _ = read(write_video())
    red, green, blue = frames[0].image[16, 20].tolist()
    assert red > 230
    assert max(green, blue) < 25


@pytest.mark.parametrize(
    ("matrix", "size_wh", "corner"),
    [
        ((1, 0, 0, 1), (96, 64), "top left"),
        ((0, 1, -1, 0), (64, 96), "top right"),
        ((-1, 0, 0, -1), (96, 64), "bottom right"),
        ((0, -1, 1, 0), (64, 96), "bottom left"),
        ((-1, 0, 0, 1), (96, 64), "top right"),
        ((0, 1, 1, 0), (64, 96), "top left"),
    ],
    ids=["upright", "clockwise", "upside down", "anticlockwise", "mirrored", "transposed"],
)
def test_a_phone_video_is_turned_upright(write_video, set_display_matrix, matrix, size_wh, corner):
    path = write_video(count=3)
    set_display_matrix(path, *matrix)
    with open_source(str(path), warn=print) as source:
        assert source.size_wh == size_wh
        assert {red_corner(frame.image) for frame in source} == {corner}


def test_times_of_a_video_with_a_variable_frame_rate_are_its_own(write_video):
    ticks = [0, 40, 45, 300, 301, 1000]
    frames, _ = read(write_video("vfr.mp4", count=6, ticks=ticks))
    assert [frame.time_s for frame in frames] == pytest.approx([tick / 1000 for tick in ticks], abs=1e-4)


def test_times_count_from_the_first_frame_of_the_file(write_video):
    frames, _ = read(write_video("late.mkv", count=3, ticks=[5000, 5040, 5080]))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.08])


def test_start_and_end_are_numbers_of_the_source_and_end_is_exclusive(write_video, number_of):
    path = write_video()
    frames, warnings = read(path, start=3, end=6)
    assert [(frame.index, number_of(frame.image)) for frame in frames] == [(3, 3), (4, 4), (5, 5)]
    assert frames[0].time_s == pytest.approx(3 / 25)
    assert warnings == []
    with open_source(str(path), start=3, end=6, warn=print) as source:
        assert source.frame_count == 3


def test_start_beyond_the_last_frame_says_how_many_there_are(write_video):
    with pytest.raises(InputDataError, match=r"--start 12 is beyond 'clip.mp4', which has 12 frames; choose 0 to 11"):
        read(write_video(), start=12)


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 5), (5, 2)])
def test_a_range_without_frames_is_refused(write_video, start, end):
    with pytest.raises(UsageError, match="expected a"):
        read(write_video(), start=start, end=end)


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "mpeg4"), ("clip.avi", "mpeg4"), ("clip.mov", "mjpeg")])
def test_a_damaged_frame_keeps_its_number(write_video, damage_packet, number_of, name, codec):
    path = write_video(name, codec=codec, gop=4, pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p")
    damage_packet(path, 4)
    frames, warnings = read(path)
    assert [frame.index for frame in frames] == list(range(12))
    assert frames[4].image is None
    assert warnings[0] == f"frame 4 of '{name}' is unreadable: the decoder gave no picture"
    assert [number_of(frame.image) for frame in frames[8:]] == [8, 9, 10, 11]
    assert [frame.time_s for frame in frames] == pytest.approx([number / 25 for number in range(12)])


def test_frames_that_the_decoder_drops_without_a_word_keep_their_numbers(write_video, damage_packet, number_of):
    path = write_video(gop=4)
    damage_packet(path, 0)
    frames, warnings = read(path)
    assert [frame.index for frame in frames] == list(range(12))
    lost = [frame.index for frame in frames if frame.image is None]
    assert lost
    assert lost == list(range(len(lost)))
    assert warnings == [f"frame {index} of 'clip.mp4' is unreadable: the decoder gave no picture" for index in lost]
    assert [number_of(frame.image) for frame in frames[len(lost) :]] == list(range(len(lost), 12))
    assert frames[-1].time_s == pytest.approx(11 / 25)


def test_a_damaged_last_frame_does_not_take_the_ones_before_with_it(write_video, damage_packet):
    path = write_video(count=20)
    damage_packet(path, 19)
    frames, _ = read(path)
    assert len(frames) == 20
    assert sum(frame.image is None for frame in frames) == 1


def test_warnings_about_frames_do_not_flood_the_terminal(write_video, damage_packet):
    path = write_video("clip.avi", count=40, codec="mjpeg", pix_fmt="yuvj420p")
    for number in range(5, 35):
        damage_packet(path, number)
    frames, warnings = read(path)
    assert [frame.index for frame in frames if frame.image is None] == list(range(5, 35))
    assert len(warnings) == 11
    assert warnings[-1] == "more of these follow and are not shown"


def test_a_video_that_ends_early_is_read_as_far_as_it_goes(write_video):
    path = write_video(count=50, codec="mpeg4", container_options={"movflags": "+faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    frames, warnings = read(path)
    assert 10 < len(frames) < 50
    assert warnings[-1] == f"'clip.mp4' ends early: its header promises 50 frames, {len(frames)} could be read"


def test_a_video_whose_header_knows_only_seconds_ends_early_in_seconds(write_video):
    path = write_video("clip.mkv", count=100, codec="ffv1", gop=1)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    frames, warnings = read(path)
    assert 20 < len(frames) < 70
    assert warnings[-1].startswith(f"'clip.mkv' ends early: its header promises 4.0 s, {len(frames)} frames up to ")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(InputDataError, match="is empty; expected a video or an image"):
        read(tmp_path / "empty.mp4")


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt", "notes.srt", "notes"])
def test_a_file_that_is_no_video_is_refused_in_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nno video at all\n")
    with pytest.raises(InputDataError, match="expected a video file") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_sound_alone_is_refused(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputDataError, match="no video stream"):
        read(path)


def test_a_playlist_may_not_reach_out_to_the_network(tmp_path):
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/clip.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(InputDataError):
        read(path)


def test_a_path_with_brackets_percent_signs_and_other_scripts_opens(write_video, tmp_path):
    folder = tmp_path / "clip [/take] 100%03d"
    folder.mkdir(parents=True)
    moved = write_video(count=2).rename(folder / "видео [1].mp4")
    assert len(read(Path(moved))[0]) == 2
