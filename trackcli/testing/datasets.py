"""The contract of dataset readers."""

from __future__ import annotations

import math
import tempfile
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from trackcli_cache.build import build_cache
from trackcli_cache.datasets import AnnotatedObject, SourceImage
from trackcli_cache.errors import DatasetError

from trackcli.host.data_specs import DatasetSpec
from trackcli.host.datasets import open_dataset
from trackcli.host.specs import Spec
from trackcli.testing.checks import expect
from trackcli.testing.settings import SpecContract

_BOX = "box_xyxy {} has no finite area; write absent=True where the object is not in view"


class DatasetContract(SpecContract):
    """What a dataset reader promises: images under its root, with sound boxes, in the same order each time.

    Example:
        >>> class TestMyVideos(DatasetContract):
        ...     name = "my-videos"
        ...
        ...     def write(self, root):
        ...         (root / "car.csv").write_text("10,12,20,8")
        ...         ...

    Attributes:
        split: One of its splits; None for the first.
    """

    kind: ClassVar[type[Spec]] = DatasetSpec
    split: ClassVar[str | None] = None

    @abstractmethod
    def write(self, root: Path) -> None:
        """Write a tiny dataset of this layout, with real image files, into an empty folder."""

    @contextmanager
    def reader(self) -> Iterator[Any]:
        """The reader of the tiny dataset."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "root"
            root.mkdir()
            self.write(root)
            yield self.open(root)

    def open(self, root: Path) -> Any:
        """The reader of a folder, as commands open it."""
        registry = self.registry
        spec = self.find(registry)
        (entry,) = (entry for entry in registry.provided if entry.spec is spec)
        return open_dataset(f"{entry.distribution}:{spec.name}", root, self.split, registry)

    def test_its_images_lie_under_the_root(self) -> None:
        """A path out of an annotation must not lead elsewhere, and a listed image must be there."""
        with self.reader() as reader:
            root = reader.root.resolve()
            images = list(reader.images())
            expect(bool(images), "images() yields nothing for the dataset that write() wrote")
            for image in images:
                expect(image.path.is_file(), f"{image.path} is no file; yield what is there, or raise DatasetError")
                expect(
                    image.path.resolve().is_relative_to(root),
                    f"{image.path} lies outside the root {root}; refuse such annotations with DatasetError",
                )

    def test_its_boxes_are_sound(self) -> None:
        """Finite and with an area, unless the object is absent."""
        with self.reader() as reader:
            for image in reader.images():
                for item in image.objects:
                    expect(item.absent or _has_area(item), f"{_place(image)}: {_BOX.format(item.box_xyxy)}")

    def test_its_images_come_in_the_same_order_each_time(self) -> None:
        """A cache is built in two passes, and sequences are numbered as they come."""
        with self.reader() as reader:
            first, second = ([_place(image) for image in reader.images()] for _ in range(2))
            expect(first == second, "images() gives another order the second time; sort what the file system lists")
            seen: dict[str, int] = {}
            last = ""
            for image in reader.images():
                name = image.sequence
                expect(
                    name == last or name not in seen, f"sequence {name!r} comes in two pieces; yield it at one stretch"
                )
                expect(
                    image.still or image.frame_number > seen.get(name, -1),
                    f"{_place(image)} does not come after frame {seen.get(name)}; number frames upwards from 0",
                )
                seen[name], last = image.frame_number, name

    def test_its_sequences_can_be_evaluated_on(self) -> None:
        """If the spec says ``sequences=True``: every named sequence has a box, or its absence, for each frame."""
        if not self.find(self.registry).sequences:
            return
        with self.reader() as reader:
            names = reader.sequence_names()
            expect(len(set(names)) == len(names) > 0, f"sequence_names() gives {names}; expected different names")
            for name in names:
                sequence = reader.read_sequence(name)
                expect(sequence.name == name, f"read_sequence({name!r}) calls itself {sequence.name!r}")
                wanted = (len(sequence.frames), 4)
                expect(
                    sequence.boxes_xywh.shape == wanted and sequence.absent.shape == wanted[:1],
                    f"sequence {name!r} has {wanted[0]} frames, boxes_xywh {sequence.boxes_xywh.shape} and absent "
                    f"{sequence.absent.shape}; expected one row per frame",
                )

    def test_a_cache_can_be_built_from_it(self) -> None:
        """The images decode, and crops can be cut."""
        with self.reader() as reader, tempfile.TemporaryDirectory() as folder:
            manifest = build_cache(reader, Path(folder) / "cache").manifest
            left_out = "; ".join(f"{path}: {reason}" for path, reason in manifest.skipped.images)
            expect(not left_out, f"images cannot be used: {left_out}")

    def test_a_folder_of_another_layout_is_refused(self) -> None:
        """With a DatasetError that says what is expected, not with an empty dataset."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                images = list(self.open(Path(folder)).images())
            except DatasetError:
                return
            raise AssertionError(
                f"an empty folder is read as a dataset of {len(images)} images; raise DatasetError and show the tree"
            )


def _has_area(item: AnnotatedObject) -> bool:
    left, top, right, bottom = item.box_xyxy
    return all(map(math.isfinite, item.box_xyxy)) and left < right and top < bottom


def _place(image: SourceImage) -> str:
    return f"{image.sequence}, frame {image.frame_number} ({image.path.name})"
