"""Objects from an XML file as PASCAL VOC and ILSVRC write them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.layout import MEBIBYTE, finite, read_bytes, whole

LARGEST_FILE = 4 * MEBIBYTE


@dataclass(frozen=True)
class XmlObject:
    """One ``<object>``; numbers are those of the file, whatever they count from.

    Attributes:
        name: Class name or WordNet id.
        xmin: Left.
        ymin: Top.
        xmax: Right.
        ymax: Bottom.
        track_id: ``<trackid>``, if there is one.
        occluded: Partly hidden.
        truncated: Cut by the image's border, or only part of it is boxed.
        difficult: Hard to recognise; left out of VOC's evaluation.
    """

    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    track_id: int | None = None
    occluded: bool = False
    truncated: bool = False
    difficult: bool = False


def read_xml_objects(path: Path) -> tuple[XmlObject, ...]:
    """Read all objects of an annotation file.

    Raises:
        DatasetError: if it is missing, too large, no XML, declares a document type (and with it perhaps entities that
            grow without bound), or an object is incomplete; the message names the file and the object.
    """
    parser = ElementTree.XMLParser(target=_PlainBuilder())
    try:
        parser.feed(read_bytes(path, LARGEST_FILE))
        root = parser.close()
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DatasetError(f"{path} cannot be read as XML: {error}") from error
    return tuple(
        _read_object(element, f"{path}, object {index}") for index, element in enumerate(root.iterfind("object"))
    )


class _PlainBuilder(ElementTree.TreeBuilder):
    """Builds elements, but stops before the first entity could be declared."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        del name, pubid, system
        raise DatasetError("declares a document type; expected plain annotations without <!DOCTYPE>")


def _read_object(element: ElementTree.Element, where: str) -> XmlObject:
    name = element.findtext("name", "").strip()
    box = element.find("bndbox")
    if not name or box is None:
        raise DatasetError(f"{where} has no <{'bndbox' if name else 'name'}>; expected <name> and <bndbox>")
    track_id = element.findtext("trackid")
    return XmlObject(
        name=name,
        xmin=_coordinate(box, "xmin", where),
        ymin=_coordinate(box, "ymin", where),
        xmax=_coordinate(box, "xmax", where),
        ymax=_coordinate(box, "ymax", where),
        track_id=None if track_id is None else whole(track_id.strip(), f"{where}, trackid"),
        occluded=_flag(element, "occluded"),
        truncated=_flag(element, "truncated"),
        difficult=_flag(element, "difficult"),
    )


def _coordinate(box: ElementTree.Element, tag: str, where: str) -> float:
    return finite(box.findtext(tag, "").strip(), f"{where}, {tag}")


def _flag(element: ElementTree.Element, tag: str) -> bool:
    return element.findtext(tag, "").strip() == "1"
