"""Detection and segmentation datasets, of stills and of videos with many objects."""

from __future__ import annotations

from trackcli_cache.entry import DatasetEntry
from trackcli_cache.readers import trees

DETECTION: tuple[DatasetEntry, ...] = (
    DatasetEntry(
        name="imagenet-vid",
        summary="ImageNet VID (ILSVRC 2015): videos, all objects of 30 classes followed",
        reader="trackcli_cache.readers.imagenet_vid:ImageNetVid",
        splits=("train", "val"),
        tree=trees.IMAGENET_VID,
    ),
    DatasetEntry(
        name="imagenet-det",
        summary="ImageNet DET (ILSVRC): stills, objects of 200 classes",
        reader="trackcli_cache.readers.imagenet_det:ImageNetDet",
        splits=("train", "val"),
        tree=trees.IMAGENET_DET,
    ),
    DatasetEntry(
        name="youtube-bb",
        summary="YouTube-BoundingBoxes: videos, one frame a second, 23 classes",
        reader="trackcli_cache.readers.youtube_bb:YouTubeBB",
        splits=("train", "validation"),
        tree=trees.YOUTUBE_BB,
    ),
    DatasetEntry(
        name="coco",
        summary="COCO: stills with outlines, 80 classes",
        reader="trackcli_cache.readers.coco:Coco",
        splits=("train2017", "val2017", "train2014", "val2014"),
        tree=trees.COCO,
    ),
    DatasetEntry(
        name="citypersons",
        summary="CityPersons: pedestrians in the street scenes of Cityscapes",
        reader="trackcli_cache.readers.citypersons:CityPersons",
        splits=("train", "val"),
        tree=trees.CITYPERSONS,
    ),
    DatasetEntry(
        name="wider-face",
        summary="WIDER FACE: stills with faces",
        reader="trackcli_cache.readers.wider_face:WiderFace",
        splits=("train", "val"),
        tree=trees.WIDER_FACE,
    ),
    DatasetEntry(
        name="davis",
        summary="DAVIS 2017: videos, several objects with masks in every frame",
        reader="trackcli_cache.readers.davis:Davis",
        splits=("train", "val"),
        tree=trees.DAVIS,
    ),
    DatasetEntry(
        name="youtube-vos",
        summary="YouTube-VOS: videos, several objects with masks in every fifth frame",
        reader="trackcli_cache.readers.youtube_vos:YouTubeVos",
        splits=("train",),
        tree=trees.YOUTUBE_VOS,
    ),
)
