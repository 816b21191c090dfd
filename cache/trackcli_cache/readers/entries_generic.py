"""Layouts for anybody's own data."""

from __future__ import annotations

from trackcli_cache.entry import DatasetEntry
from trackcli_cache.readers import trees, trees_tracking

GENERIC: tuple[DatasetEntry, ...] = (
    DatasetEntry(
        name="folder",
        summary="Plain folders of sequences, of stills with boxes, or of both",
        reader="trackcli_cache.folder:FolderDataset",
        tree=trees_tracking.FOLDER,
        sequences=True,
    ),
    DatasetEntry(
        name="voc",
        summary="PASCAL VOC and anything labelled in its XML: stills with boxes",
        reader="trackcli_cache.readers.voc:Voc",
        splits=("all", "train", "val", "trainval", "test"),
        tree=trees.VOC,
    ),
    DatasetEntry(
        name="coco-json",
        summary="Anything in COCO's JSON: stills with boxes, outlines, run lengths",
        reader="trackcli_cache.readers.coco_json:CocoJson",
        tree=trees.COCO_JSON,
    ),
    DatasetEntry(
        name="mot",
        summary="MOTChallenge text (MOT15 to MOT20, DanceTrack): videos, many objects",
        reader="trackcli_cache.readers.mot:Mot",
        tree=trees.MOT,
    ),
    DatasetEntry(
        name="video",
        summary="Video files, each beside a text file with a box per frame",
        reader="trackcli_cache.readers.video_file:VideoFiles",
        tree=trees.VIDEO,
    ),
)
