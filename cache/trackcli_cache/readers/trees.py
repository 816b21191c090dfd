"""The folders and files that each detection, segmentation and generic layout is expected to have, for messages."""

from __future__ import annotations

IMAGENET_VID = """\
  ROOT/Data/VID/train/ILSVRC2015_VID_train_0000/<snippet>/000000.JPEG
  ROOT/Annotations/VID/train/ILSVRC2015_VID_train_0000/<snippet>/000000.xml
  ROOT/Data/VID/val/<snippet>/000000.JPEG
  ROOT/Annotations/VID/val/<snippet>/000000.xml"""

IMAGENET_DET = """\
  ROOT/Data/DET/train/ILSVRC2013_train/<wnid>/*.JPEG          also ILSVRC2014_train_0000 … 0006
  ROOT/Annotations/DET/train/ILSVRC2013_train/<wnid>/*.xml
  ROOT/Data/DET/val/*.JPEG
  ROOT/Annotations/DET/val/*.xml"""

YOUTUBE_BB = """\
  ROOT/yt_bb_detection_train.csv                              unpacked; and yt_bb_detection_validation.csv
  ROOT/yt_bb_detection_train/<class id>/<video>_<ms>_<class id>_<object id>.jpg
or
  ROOT/yt_bb_detection_train/<video>/<ms>.jpg"""

COCO = """\
  ROOT/annotations/instances_train2017.json                   and instances_val2017.json
  ROOT/train2017/*.jpg                                        or ROOT/images/train2017/*.jpg"""

CITYPERSONS = """\
  ROOT/gtBboxCityPersons/train/<city>/*_gtBboxCityPersons.json
  ROOT/leftImg8bit/train/<city>/*_leftImg8bit.png             and the same under val/"""

WIDER_FACE = """\
  ROOT/wider_face_split/wider_face_train_bbx_gt.txt           and wider_face_val_bbx_gt.txt
  ROOT/WIDER_train/images/<event>/*.jpg                       and WIDER_val/"""

DAVIS = """\
  ROOT/ImageSets/2017/train.txt                               one sequence per line; and val.txt
  ROOT/JPEGImages/480p/<sequence>/00000.jpg
  ROOT/Annotations/480p/<sequence>/00000.png                  pixel values are object numbers"""

YOUTUBE_VOS = """\
  ROOT/train/meta.json
  ROOT/train/JPEGImages/<video>/00000.jpg
  ROOT/train/Annotations/<video>/00000.png                    pixel values are object numbers"""

VOC = """\
  ROOT/JPEGImages/*.jpg                                       or ROOT/images/
  ROOT/Annotations/*.xml                                      or ROOT/annotations/
  ROOT/ImageSets/Main/<split>.txt                             only needed with --split
  ROOT/SegmentationObject/*.png                               optional"""

COCO_JSON = """\
  ROOT/annotations.json                                       or _annotations.coco.json, annotations/*.json (one file)
  ROOT/images/…                                               or the images beside the file, in ROOT"""

MOT = """\
  ROOT/<sequence>/img1/000001.jpg
  ROOT/<sequence>/gt/gt.txt                                   frame,id,x,y,w,h,considered,class,visibility
  ROOT/<sequence>/seqinfo.ini                                 optional"""

VIDEO = """\
  ROOT/<name>.mp4                                             or .avi, .mkv, .mov, .webm, .m4v, .mpg
  ROOT/<name>.txt                                             x,y,w,h per frame; nan,nan,nan,nan where out of view"""
