"""XML from strangers: complete objects or an error that names the file, and never a blown-up entity."""

from __future__ import annotations

import pytest
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.annotation_xml import LARGEST_FILE, XmlObject, read_xml_objects

BOX = "<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"

BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><annotation><name>&c;</name></annotation>'


def test_all_fields_are_read(tree):
    flags = "<truncated>1</truncated><difficult> 1 </difficult><occluded>1</occluded><trackid>3</trackid>"
    path = tree.text("a.xml", f"<annotation><object><name> dog </name>{BOX}{flags}</object></annotation>")
    assert read_xml_objects(path) == (XmlObject("dog", 1, 2.5, 30, 40, 3, True, True, True),)


def test_flags_that_are_not_1_are_not_set(tree):
    flags = "<truncated>Unspecified</truncated><difficult>0</difficult><occluded/>"
    path = tree.text("a.xml", f"<annotation><object><name>dog</name>{BOX}{flags}</object></annotation>")
    assert read_xml_objects(path) == (XmlObject("dog", 1, 2.5, 30, 40),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation><object>", "cannot be read as XML: no element found"),
        ("not xml", "cannot be read as XML: syntax error"),
        ("", "cannot be read as XML: no element found"),
        ('<?xml version="1.0" encoding="martian"?><a/>', "cannot be read as XML: .*encoding"),
        (f"<annotation><object>{BOX}</object></annotation>", "object 0 has no <name>"),
        ("<annotation><object><name>a</name></object></annotation>", "object 0 has no <bndbox>"),
        (f"<a><object><name>a</name>{BOX.replace('2.5', 'nan')}</object></a>", "ymin: 'nan' is not a coordinate"),
        (f"<a><object><name>a</name>{BOX.replace('2.5', '1e99')}</object></a>", "ymin: '1e99' is not a coordinate"),
        ("<a><object><name>a</name><bndbox/></object></a>", "xmin: '' is not a coordinate"),
        (f"<a><object><name>a</name><trackid>1.5</trackid>{BOX}</object></a>", "trackid: '1.5' is not a whole number"),
        (BOMB, "declares a document type"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tree, content, message):
    path = tree.text("a.xml", content)
    with pytest.raises(DatasetError, match=message) as error:
        read_xml_objects(path)
    assert str(error.value).startswith(str(path))


def test_a_document_type_is_found_in_any_encoding(tree):
    path = tree.path("a.xml")
    path.write_bytes(('<?xml version="1.0" encoding="utf-16"?>' + BOMB).encode("utf-16"))
    with pytest.raises(DatasetError, match="declares a document type"):
        read_xml_objects(path)


def test_a_huge_file_is_refused(tree):
    path = tree.text("a.xml", " " * (LARGEST_FILE + 1))
    with pytest.raises(DatasetError, match="larger than 4 MiB"):
        read_xml_objects(path)


def test_a_missing_file_is_named(tree):
    with pytest.raises(DatasetError, match=r"a\.xml cannot be read: No such file"):
        read_xml_objects(tree.root / "a.xml")
