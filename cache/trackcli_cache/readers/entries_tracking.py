"""Tracking datasets: videos with one target each."""

from __future__ import annotations

from trackcli_cache.entry import DatasetEntry
from trackcli_cache.readers import trees_tracking as trees

_READERS = "trackcli_cache.readers"


def _vot(name: str, summary: str, reader: str) -> DatasetEntry:
    return DatasetEntry(name, summary, f"{_READERS}.vot:{reader}", tree=trees.VOT, sequences=True)


TRACKING: tuple[DatasetEntry, ...] = (
    DatasetEntry(
        name="got10k",
        summary="GOT-10k: 10,000 videos of 563 classes; the truth of test is hidden",
        reader=f"{_READERS}.got10k:Got10k",
        splits=("train", "val", "test"),
        tree=trees.GOT10K,
        sequences=True,
    ),
    DatasetEntry(
        name="lasot",
        summary="LaSOT: 1,400 long videos of 70 categories",
        reader=f"{_READERS}.lasot:LaSOT",
        splits=("train", "test"),
        tree=trees.LASOT,
        sequences=True,
    ),
    DatasetEntry(
        name="trackingnet",
        summary="TrackingNet: 30,132 training videos in 12 chunks, 511 test videos with hidden truth",
        reader=f"{_READERS}.trackingnet:TrackingNet",
        splits=("train", "test", *(f"train-{chunk}" for chunk in range(12))),
        tree=trees.TRACKINGNET,
        sequences=True,
    ),
    DatasetEntry(
        name="otb100",
        summary="OTB-100 (OTB-2015): 100 targets with 11 attributes",
        reader=f"{_READERS}.otb:Otb100",
        tree=trees.OTB,
        sequences=True,
    ),
    DatasetEntry(
        name="otb50",
        summary="OTB-50: the 50 harder targets of OTB-100",
        reader=f"{_READERS}.otb:Otb50",
        tree=trees.OTB,
        sequences=True,
    ),
    DatasetEntry(
        name="otb2013",
        summary="OTB-2013: 51 targets",
        reader=f"{_READERS}.otb:Otb2013",
        tree=trees.OTB,
        sequences=True,
    ),
    DatasetEntry(
        name="uav123",
        summary="UAV123: 123 videos from drones with 12 attributes",
        reader=f"{_READERS}.uav123:Uav123",
        tree=trees.UAV123,
        sequences=True,
    ),
    DatasetEntry(
        name="uav20l",
        summary="UAV20L: 20 long videos from drones",
        reader=f"{_READERS}.uav123:Uav20L",
        tree=trees.UAV20L,
        sequences=True,
    ),
    DatasetEntry(
        name="nfs",
        summary="NfS: 100 videos at 30 or 240 frames a second",
        reader=f"{_READERS}.nfs:NfS",
        splits=("30", "240"),
        tree=trees.NFS,
        sequences=True,
    ),
    _vot("vot2016", "VOT2016: 60 videos, rotated boxes", "Vot2016"),
    _vot("vot2017", "VOT2017: 60 videos, rotated boxes", "Vot2017"),
    _vot("vot2018", "VOT2018: the 60 videos of VOT2017", "Vot2018"),
    _vot("vot2019", "VOT2019: 60 videos, rotated boxes", "Vot2019"),
    _vot("vot2018-lt", "VOT-LT 2018: 35 long videos in which the target is often absent", "Vot2018LongTerm"),
    _vot("vot2019-lt", "VOT-LT 2019: 50 long videos in which the target is often absent", "Vot2019LongTerm"),
    DatasetEntry(
        name="pysot-json",
        summary="Any dataset described by a JSON list in pysot's form",
        reader=f"{_READERS}.pysot_json:PysotJson",
        tree=trees.PYSOT_JSON,
        sequences=True,
    ),
)
