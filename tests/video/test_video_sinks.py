import os
import signal
import subprocess
import sys

import av
import numpy as np
import pytest

from trackcli.errors import TrackcliError, UsageError
from trackcli.signals import signals_held
from trackcli.video.sinks import VideoSink, fit_image
from trackcli.video.sources import open_source


def numbered(number, size_wh=(64, 48)):
    return np.full((size_wh[1], size_wh[0], 3), 10 * number + 20, np.uint8)


def read(path):
    with open_source(str(path), warn=pytest.fail) as source:
        return list(source)


def write(path, images, *, fps=25, times=None):
    with VideoSink(path, fps, (images[0].shape[1], images[0].shape[0])) as sink:
        for number, image in enumerate(images):
            sink.write(image, None if times is None else times[number])
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".MP4"])
def test_every_frame_written_is_read_back(tmp_path, suffix):
    frames = read(write(tmp_path / f"out{suffix}", [numbered(number) for number in range(20)]))
    assert [round((float(frame.image.mean()) - 20) / 10) for frame in frames] == list(range(20))
    assert [frame.time_s for frame in frames] == pytest.approx([number / 25 for number in range(20)], abs=1e-3)
    assert list(tmp_path.iterdir()) == [tmp_path / f"out{suffix}"]


def test_the_video_is_what_browsers_play(tmp_path):
    path = write(tmp_path / "out.mp4", [numbered(number) for number in range(5)])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == pytest.approx(25)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "fast start: the index comes before the pictures"


@pytest.mark.parametrize("color", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40), (128, 128, 128)])
def test_colours_survive(tmp_path, color):
    image = np.full((48, 64, 3), color, np.uint8)
    [frame] = read(write(tmp_path / "out.mp4", [image]))
    assert np.abs(frame.image[24, 32].astype(int) - color).max() <= 6


def test_an_odd_size_grows_by_a_repeated_pixel(tmp_path):
    image = np.zeros((5, 7, 3), np.uint8)
    image[:, -1], image[-1] = 100, 200
    fitted = fit_image(image, (8, 6))
    assert fitted.shape == (6, 8, 3)
    assert fitted[0, 6:, 0].tolist() == [100, 100]
    assert fitted[4:, 0, 0].tolist() == [200, 200]
    frames = read(write(tmp_path / "out.mp4", [numbered(1, (33, 17))]))
    assert frames[0].image.shape == (18, 34, 3)


def test_an_image_of_another_shape_is_fitted_between_black_bars():
    wide = fit_image(np.full((10, 40, 3), 255, np.uint8), (20, 20))
    assert wide[:, 10, 0].tolist() == [0] * 7 + [255] * 5 + [0] * 8
    tall = fit_image(np.full((40, 10, 3), 255, np.uint8), (20, 20))
    assert tall[10, :, 0].tolist() == [0] * 7 + [255] * 5 + [0] * 8


def test_an_image_that_fits_is_not_copied():
    image = numbered(1)
    assert fit_image(image, (64, 48)) is image


def test_frames_of_another_size_go_into_the_same_video(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoSink(path, 25, (64, 48)) as sink:
        sink.write(numbered(1))
        sink.write(numbered(2, (200, 30)))
    assert [frame.image.shape for frame in read(path)] == [(48, 64, 3)] * 2


def test_variable_times_are_kept_and_begin_at_zero(tmp_path):
    times = [7.0, 7.04, 7.3, 7.31, 9.0]
    frames = read(write(tmp_path / "out.mp4", [numbered(number) for number in range(5)], times=times))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.3, 0.31, 2.0], abs=1e-4)


def test_frames_at_one_and_the_same_time_are_all_kept(tmp_path):
    frames = read(write(tmp_path / "out.mp4", [numbered(number) for number in range(5)], times=[0.0] * 5))
    assert len(frames) == 5


def test_until_it_is_closed_the_final_name_does_not_exist(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoSink(path, 25, (64, 48)) as sink:
        sink.write(numbered(1))
        assert not path.exists()
        (part,) = tmp_path.iterdir()
        assert part.match("out.*.part.mp4")
    assert path.exists()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_was_written_before_an_error_is_a_whole_video(tmp_path, error):
    path = tmp_path / "out.mp4"
    with pytest.raises(error), VideoSink(path, 25, (64, 48)) as sink:
        for number in range(7):
            sink.write(numbered(number))
        raise error
    assert len(read(path)) == 7


def test_without_a_frame_there_is_no_file(tmp_path):
    with VideoSink(tmp_path / "out.mp4", 25, (64, 48)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"video '.*out.gif' has an unknown suffix; expected one of .mp4, .m4v"):
        VideoSink(tmp_path / "out.gif", 25, (64, 48))


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="64x48 pixels cannot be written: No such file or directory; choose a folder"):
        VideoSink(tmp_path / "none" / "out.mp4", 25, (64, 48))


def test_a_signal_waits_for_the_end_of_the_block():
    steps = []
    with pytest.raises(KeyboardInterrupt):
        with signals_held():
            signal.raise_signal(signal.SIGINT)
            steps.append("block finished")
        steps.append("not reached")
    assert steps == ["block finished"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(os.name == "nt", reason="Windows has no way to send SIGINT to one process")
def test_an_interrupted_writer_leaves_a_video_in_which_every_frame_decodes(tmp_path):
    path = tmp_path / "out.mp4"
    program = f"""
import numpy as np
from pathlib import Path
from trackcli.video.sinks import VideoSink
noise = np.random.default_rng(0).integers(0, 256, (20, 240, 320, 3), dtype=np.uint8)
with VideoSink(Path({str(path)!r}), 25, (320, 240)) as sink:
    for number in range(100_000):
        sink.write(noise[number % 20])
        if number == 30:
            print("going", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"going\n"
        writer.send_signal(signal.SIGINT)
        writer.communicate(timeout=20)
    frames = read(path)
    assert len(frames) > 30
    assert all(frame.image is not None for frame in frames)


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on file sizes")
def test_a_full_disk_is_one_clear_line_and_leaves_no_broken_video(tmp_path):
    path = tmp_path / "out.mp4"
    program = (
        "import resource, signal, sys; from pathlib import Path; import numpy as np\n"
        "from trackcli.errors import TrackcliError\n"
        "from trackcli.video.sinks import VideoSink\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "noise = np.random.default_rng(0).integers(0, 256, (20, 96, 128, 3), dtype=np.uint8)\n"
        "try:\n"
        "    with VideoSink(Path(sys.argv[1]), 25, (128, 96)) as sink:\n"
        "        for image in noise:\n"
        "            sink.write(image)\n"
        "except TrackcliError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout == (
        f"writing video '{path}' failed: File too large; make room, or choose another place, and run again\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_finished_video_whose_name_is_taken_by_a_folder_is_kept_beside_it(tmp_path):
    path = tmp_path / "out.mp4"
    sink = VideoSink(path, 25, (64, 48))
    sink.write(numbered(1))
    path.mkdir()
    with pytest.raises(TrackcliError, match=r"writing video '.*out\.mp4' failed: Is a directory; the whole video is"):
        sink.close()
    (part,) = tmp_path.glob("out.*.part.mp4")
    assert len(read(part)) == 1


def test_no_other_file_is_touched(tmp_path):
    for name in ("out.part.mp4", "out.mp4.part"):
        (tmp_path / name).write_text("precious")
    write(tmp_path / "out.mp4", [numbered(1)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out.mp4.part", "out.part.mp4"]
    assert (tmp_path / "out.part.mp4").read_text() == (tmp_path / "out.mp4.part").read_text() == "precious"


def test_pictures_too_large_for_the_codec_are_not_blamed_on_the_folder(tmp_path):
    with pytest.raises(UsageError, match=r"H\.264 takes sides of at most 16384 pixels"):
        VideoSink(tmp_path / "out.mp4", 25, (16386, 16))
    assert not list(tmp_path.iterdir())
