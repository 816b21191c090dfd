import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackcli.errors import InputDataError, UsageError
from trackcli.video.images import natural_sort_key, read_image
from trackcli.video.sources import open_source


def write(path, image):
    """Write an image as it is, whatever its depth and channels (colours in OpenCV's order)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(path.suffix, image)
    assert ok
    path.write_bytes(data.tobytes())
    return path


def flat(value, size_wh=(8, 6)):
    return np.full((size_wh[1], size_wh[0], 3), value, np.uint8)


def values(source, **options):
    """The top-left green value of each frame, and the warnings."""
    warnings = []
    with open_source(str(source), warn=warnings.append, **options) as frames:
        return [None if frame.image is None else int(frame.image[0, 0, 1]) for frame in frames], warnings


def test_colours_come_as_rgb(tmp_path):
    path = write(tmp_path / "a.png", np.full((2, 3, 3), (10, 20, 30), np.uint8))
    assert read_image(path).tolist() == [[[30, 20, 10]] * 3] * 2


def test_a_grey_image_becomes_rgb(tmp_path):
    path = write(tmp_path / "a.png", np.full((2, 3), 77, np.uint8))
    assert read_image(path).tolist() == [[[77, 77, 77]] * 3] * 2


def test_an_alpha_channel_is_dropped(tmp_path):
    path = write(tmp_path / "a.png", np.full((2, 3, 4), (10, 20, 30, 128), np.uint8))
    assert read_image(path).tolist() == [[[30, 20, 10]] * 3] * 2


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm"])
def test_16_bits_are_scaled_not_clipped(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", np.array([[0, 256 * 100, 65535]], np.uint16))
    assert read_image(path)[0, :, 0].tolist() == [0, 100, 255]


def test_a_palette_image_becomes_rgb(tmp_path):
    path = tmp_path / "a.bmp"
    # A 2x1 bitmap with two palette entries (blue, green, red, 0), written by hand: rows are padded to four bytes.
    palette = bytes([10, 20, 30, 0, 40, 50, 60, 0])
    header = struct.pack("<2sIHHI", b"BM", 14 + 40 + 8 + 4, 0, 0, 14 + 40 + 8)
    info = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 8, 0, 4, 0, 0, 2, 2)
    path.write_bytes(header + info + palette + bytes([1, 0, 0, 0]))
    assert read_image(path).tolist() == [[[60, 50, 40], [30, 20, 10]]]


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (5, (0, 0)), (6, (0, -1)), (7, (-1, -1)), (8, (-1, 0))],
)
def test_the_exif_orientation_is_applied(tmp_path, orientation, corner):
    image = flat(0, (32, 16))
    image[:8, :8] = 255
    path = write(tmp_path / "a.jpg", image)
    # EXIF by hand: big-endian TIFF header, one entry: tag 0x112 (orientation), type short, count 1.
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:])
    upright = read_image(path)
    assert upright.shape == ((16, 32, 3) if orientation < 5 else (32, 16, 3))
    corners = {place: int(upright[place][0]) for place in ((0, 0), (0, -1), (-1, 0), (-1, -1))}
    assert [place for place, value in corners.items() if value > 128] == [corner]


def test_a_folder_is_read_in_natural_order_and_other_files_are_ignored(tmp_path):
    for number in (10, 2, 1):
        write(tmp_path / f"img{number}.PNG", flat(number))
    (tmp_path / "groundtruth.txt").write_text("1,2,3,4\n")
    (tmp_path / "sub.png").mkdir()
    (tmp_path / "._img1.PNG").write_bytes(b"what another system notes of the file")
    assert values(tmp_path) == ([1, 2, 10], [])


def test_times_of_images_assume_25_a_second_and_the_rate_is_unknown(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.png", flat(number))
    with open_source(str(tmp_path), warn=print) as source:
        assert (source.fps, source.frame_count, source.size_wh, source.name) == (None, 3, (8, 6), tmp_path.name)
        assert [frame.time_s for frame in source] == [0, 0.04, 0.08]


def test_images_of_changing_size_come_each_in_its_own(tmp_path):
    write(tmp_path / "1.png", flat(1, (8, 6)))
    write(tmp_path / "2.png", flat(2, (20, 10)))
    with open_source(str(tmp_path), warn=print) as source:
        assert [frame.image.shape for frame in source] == [(6, 8, 3), (10, 20, 3)]


def test_an_unreadable_image_keeps_its_number_and_is_warned_of_once(tmp_path):
    for number in range(4):
        write(tmp_path / f"{number}.png", flat(number))
    (tmp_path / "1.png").write_bytes(b"no image")
    (tmp_path / "2.png").write_bytes(b"")
    found, warnings = values(tmp_path)
    assert found == [0, None, None, 3]
    assert [warning.split(":")[0] for warning in warnings] == ["frame 1 is unreadable", "frame 2 is unreadable"]


def test_the_size_is_that_of_the_first_readable_image_and_no_frame_is_swallowed(tmp_path):
    (tmp_path / "1.png").write_bytes(b"no image")
    write(tmp_path / "2.png", flat(2, (9, 5)))
    with open_source(str(tmp_path), warn=lambda text: None) as source:
        assert source.size_wh == (9, 5)
        assert [frame.index for frame in source] == [0, 1]


def test_a_folder_without_a_readable_image_is_refused(tmp_path):
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(InputDataError, match=r"no frame of '.*' can be read \(1 tried\)"):
        values(tmp_path)


def test_start_and_end_number_from_the_source(tmp_path):
    for number in range(5):
        write(tmp_path / f"{number}.png", flat(number))
    with open_source(str(tmp_path), start=1, end=3, warn=print) as source:
        assert source.frame_count == 2
        assert [(frame.index, frame.time_s) for frame in source] == [(1, 0.04), (2, 0.08)]
    assert values(tmp_path, start=3, end=99)[0] == [3, 4]
    with pytest.raises(InputDataError, match=r"--start 5 is beyond .* which has 5 frames; choose 0 to 4"):
        values(tmp_path, start=5)


def test_a_pattern_selects_images(tmp_path):
    for name, value in (("a1.png", 1), ("a12.png", 12), ("a2.png", 2), ("b1.png", 100)):
        write(tmp_path / name, flat(value))
    assert values(tmp_path / "a*.png")[0] == [1, 2, 12]


def test_a_folder_whose_name_looks_like_a_pattern_opens(tmp_path):
    folder = tmp_path / "clip [" / "take]"
    write(folder / "1.png", flat(9))
    assert values(folder)[0] == [9]


def test_a_file_of_several_pictures_gives_the_first_and_says_so(tmp_path):
    path = tmp_path / "pages.tiff"
    assert cv2.imwritemulti(str(path), [flat(10), flat(90), flat(200)])
    warning = f"'{path}' holds 3 pictures and only the first is read; save them as a video, or in a folder"
    assert values(path) == ([10], [warning])


def test_a_pattern_finds_images_in_a_folder_whose_name_looks_like_one(tmp_path):
    write(tmp_path / "br[1] %d" / "1.jpg", flat(9))
    write(tmp_path / "br[2]" / "1.jpg", flat(50))
    assert values(tmp_path / "br[1] %d" / "*.jpg")[0] == [9]
    write(tmp_path / "br2" / "1.jpg", flat(99))
    assert values(tmp_path / "br[2]" / "*.jpg")[0] == [50]
    assert values(tmp_path / "br[12]" / "*.jpg")[0] == [99]
    write(tmp_path / "br[1] %d" / "a" / "b" / "2.jpg", flat(20))
    assert values(tmp_path / "br[1] %d" / "a*" / "b" / "*.jpg")[0] == [20]


def test_a_single_image_is_a_source_of_one_frame(tmp_path):
    path = write(tmp_path / "übung.JPEG".lower(), flat(40))
    assert values(path) == ([40], [])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.mp4", "nothing is there at '.*nowhere.mp4'; expected a video file, an image, a folder"),
        ("*.jpg", "pattern '.*' matches 0 paths, none of them an image; expected"),
        ("", "folder '.*' holds no images"),
    ],
)
def test_a_source_that_is_not_there_says_what_was_looked_for(tmp_path, source, message):
    with pytest.raises(InputDataError, match=message):
        values(tmp_path / source)


def test_a_dataset_folder_points_to_the_images_below(tmp_path):
    write(tmp_path / "img" / "1.jpg", flat(1))
    with pytest.raises(InputDataError, match=r"holds no images .*, but '.*img' does"):
        values(tmp_path)


def test_images_are_read_one_at_a_time(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.png", flat(number))
    with open_source(str(tmp_path), warn=lambda text: None) as source:
        frames = iter(source)
        next(frames)
        (tmp_path / "2.png").unlink()
        assert [frame.image is None for frame in frames] == [False, True]


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_numbers_in_names_sort_by_value(numbers):
    paths = sorted((Path(f"frame-{number}.jpg") for number in numbers), key=natural_sort_key)
    assert paths == [Path(f"frame-{number}.jpg") for number in sorted(numbers)]


@given(st.lists(st.text(alphabet="ab01٣-.", min_size=1)))
def test_any_names_can_be_sorted(names):
    assert len(sorted(map(Path, names), key=natural_sort_key)) == len(names)


def test_images_of_changing_size_are_read_with_one_warning(tmp_path):
    for number, size_wh in enumerate([(8, 6), (8, 6), (5, 4), (8, 6), (7, 7)]):
        write(tmp_path / "clip" / f"img{number}.png", flat(number, size_wh))
    assert values(tmp_path / "clip") == (
        [0, 1, 2, 3, 4],
        ["frame 2 of 'clip' is 5x4 pixels, the first one is 8x6; boxes are in each frame's own pixels"],
    )


def test_an_empty_source_is_not_the_current_folder():
    with pytest.raises(UsageError, match="the source is an empty text; expected a video file"):
        open_source("", warn=pytest.fail)
