"""The folders and files that each layout of a tracking dataset is expected to have, for messages and listings."""

from __future__ import annotations

FOLDER = """\
  ROOT/<sequence>/img/*.jpg           frames of a video, in natural order
  ROOT/<sequence>/groundtruth.txt     one x,y,w,h per frame; nan,nan,nan,nan where out of view
  ROOT/<sequence>/masks/*.png         optional; same names as the frames, non-zero where the target is
or
  ROOT/<collection>/img/*.jpg         still images
  ROOT/<collection>/boxes.json        {"file.jpg": [[x, y, w, h, "category"], …], …}
  ROOT/<collection>/polys.json        optional; {"file.jpg": [[[x, y, x, y, …], …] or null, …], …}"""

GOT10K = """\
  ROOT/train/list.txt                                 one sequence per line; and the same under val/ and test/
  ROOT/train/<sequence>/00000001.jpg
  ROOT/train/<sequence>/groundtruth.txt               one x,y,w,h per frame; under test/ of the first frame only
  ROOT/train/<sequence>/absence.label                 0 or 1 per frame; not under test/
  ROOT/train/<sequence>/cover.label                   0 to 8 per frame; not under test/
  ROOT/train/<sequence>/cut_by_image.label            0 or 1 per frame; not under test/
  ROOT/train/<sequence>/meta_info.ini                 object_class and more; not under test/"""

LASOT = """\
  ROOT/<category>/<category>-<n>/img/00000001.jpg     or ROOT/<category>-<n>/…
  ROOT/<category>/<category>-<n>/groundtruth.txt      one x,y,w,h per frame
  ROOT/<category>/<category>-<n>/full_occlusion.txt   0 or 1 per frame, in one line
  ROOT/<category>/<category>-<n>/out_of_view.txt      0 or 1 per frame, in one line
  ROOT/testing_set.txt                                optional; and training_set.txt
  ROOT/att/<category>-<n>.txt                         optional; the evaluation toolkit's attributes"""

TRACKINGNET = """\
  ROOT/TRAIN_0/frames/<sequence>/0.jpg                unpacked; TRAIN_0 to TRAIN_11 and TEST
  ROOT/TRAIN_0/anno/<sequence>.txt                    one x,y,w,h per frame; under TEST of the first frame only"""

OTB = """\
  ROOT/<Sequence>/img/0001.jpg
  ROOT/<Sequence>/groundtruth_rect.txt                one x,y,w,h per frame
  ROOT/Jogging/groundtruth_rect.1.txt                 and .2.txt: two targets; Skating2 and Human4 likewise"""

UAV123 = """\
  ROOT/data_seq/UAV123/<folder>/000001.jpg
  ROOT/anno/UAV123/<sequence>.txt                     one x,y,w,h per frame, NaN where the target is hidden or gone
  ROOT/anno/UAV123/att/<sequence>.txt                 optional; 12 attributes, 0 or 1"""

UAV20L = """\
  ROOT/data_seq/UAV123/<folder>/000001.jpg            the same images as UAV123's
  ROOT/anno/UAV20L/<sequence>.txt                     one x,y,w,h per frame, NaN where the target is hidden or gone
  ROOT/anno/UAV20L/att/<sequence>.txt                 optional; 12 attributes, 0 or 1"""

NFS = """\
  ROOT/<sequence>/30/<sequence>/00001.jpg   and the same under 240/
  ROOT/<sequence>/30/<sequence>.txt         track xmin ymin xmax ymax frame lost occluded generated "label\""""

VOT = """\
  ROOT/list.txt                                       one sequence per line; without it, all folders in natural order
  ROOT/<sequence>/color/00000001.jpg                  or ROOT/<sequence>/00000001.jpg
  ROOT/<sequence>/groundtruth.txt                     x1,y1,…,x4,y4 or x,y,w,h per frame; nan where the target is absent
  ROOT/<sequence>/occlusion.tag                       optional; 0 or 1 per frame; and other .tag or .label files"""

PYSOT_JSON = """\
  ROOT/<name>.json                                    {"video": {"video_dir", "img_names", "gt_rect", "attr"}, …}
  ROOT/<image>                                        as named by img_names, from ROOT or from ROOT/<video_dir>
  (--root may be the file itself where there are several)"""
