"""OTB's targets: frames, attributes, and which benchmark has which.

A row is: name, last frame (or first-last), attributes. Frame counts, first frames and attributes are those of the
benchmark's web page and its code (jwlim/tracker_benchmark, jwlim/tracker_benchmark_doc), compared with pytracking's and
the got10k toolkit's tables. ``Human4`` has two files of boxes of which the first is empty, so its target is ``.2``.
``Tiger1`` begins with frame 6, as in pytracking. Attributes are the web page's; the flag files of the MATLAB toolkit
differ in a few places, so papers count two or three sequences more or fewer for some of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ATTRIBUTES = ("IV", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OPR", "OV", "BC", "LR")
"""Illumination, scale, occlusion, deformation, motion blur, fast motion, rotation in and out of the plane, out of view,
background clutter, low resolution."""


@dataclass(frozen=True)
class OtbTarget:
    """One target of OTB.

    Attributes:
        name: As in result files: ``Jogging.1``.
        folder: The sequence's folder: ``Jogging``.
        truth: Name of its file of boxes.
        first: Number of the image that the first line of the file belongs to.
        last: Number of the last image.
        skipped: So many frames and lines at the start are not used.
        attributes: What makes it hard; see :data:`ATTRIBUTES`.
    """

    name: str
    folder: str
    truth: str
    first: int
    last: int
    skipped: int
    attributes: tuple[str, ...]


_TB50 = """\
Basketball 725 IV,OCC,DEF,OPR,BC
Biker 142 SV,OCC,MB,FM,OPR,OV,LR
Bird1 408 DEF,FM,OV
BlurBody 334 SV,DEF,MB,FM,IPR
BlurCar2 585 SV,MB,FM
BlurFace 493 MB,FM,IPR
BlurOwl 631 SV,MB,FM,IPR
Bolt 350 OCC,DEF,IPR,OPR
Box 1161 IV,SV,OCC,MB,IPR,OPR,OV,BC,LR
Car1 1020 IV,SV,MB,FM,BC,LR
Car4 659 IV,SV
CarDark 393 IV,BC
CarScale 252 SV,OCC,FM,IPR,OPR
ClifBar 472 SV,OCC,MB,FM,IPR,OV,BC
Couple 140 SV,DEF,FM,OPR,BC
Crowds 347 IV,DEF,BC
David 300-770 IV,SV,OCC,DEF,MB,IPR,OPR
Deer 71 MB,FM,IPR,BC,LR
Diving 215 SV,DEF,IPR
DragonBaby 113 SV,OCC,MB,FM,IPR,OPR,OV
Dudek 1145 SV,OCC,DEF,FM,IPR,OPR,OV,BC
Football 362 OCC,IPR,OPR,BC
Freeman4 283 SV,OCC,IPR,OPR
Girl 500 SV,OCC,IPR,OPR
Human3 1698 SV,OCC,DEF,OPR,BC
Human4.2 667 IV,SV,OCC,DEF
Human6 792 SV,OCC,DEF,FM,OPR,OV
Human9 305 IV,SV,DEF,MB,FM
Ironman 166 IV,SV,OCC,MB,FM,IPR,OPR,OV,BC,LR
Jump 122 SV,OCC,DEF,MB,FM,IPR,OPR
Jumping 313 MB,FM
Liquor 1741 IV,SV,OCC,MB,FM,OPR,OV,BC
Matrix 100 IV,SV,OCC,FM,IPR,OPR,BC
MotorRolling 164 IV,SV,MB,FM,IPR,BC,LR
Panda 1000 SV,OCC,DEF,IPR,OPR,OV,LR
RedTeam 1918 SV,OCC,IPR,OPR,LR
Shaking 365 IV,SV,IPR,OPR,BC
Singer2 366 IV,DEF,IPR,OPR,BC
Skating1 400 IV,SV,OCC,DEF,OPR,BC
Skating2.1 473 SV,OCC,DEF,FM,OPR
Skating2.2 473 SV,OCC,DEF,FM,OPR
Skiing 81 IV,SV,DEF,IPR,OPR
Soccer 392 IV,SV,OCC,MB,FM,IPR,OPR,BC
Surfer 376 SV,FM,IPR,OPR,LR
Sylvester 1345 IV,IPR,OPR
Tiger2 365 IV,OCC,DEF,MB,FM,IPR,OPR,OV
Trellis 569 IV,SV,IPR,OPR,BC
Walking 412 SV,OCC,DEF
Walking2 500 SV,OCC,LR
Woman 597 IV,SV,OCC,DEF,MB,FM,OPR"""

_OTHERS = """\
Bird2 99 OCC,DEF,FM,IPR,OPR
BlurCar1 247-988 MB,FM
BlurCar3 3-359 MB,FM
BlurCar4 18-397 MB,FM
Board 698 SV,MB,FM,OPR,OV,BC
Bolt2 293 DEF,BC
Boy 602 SV,MB,FM,IPR,OPR
Car2 913 IV,SV,MB,FM,BC
Car24 3059 IV,SV,BC
Coke 291 IV,OCC,FM,IPR,OPR,BC
Coupon 327 OCC,BC
Crossing 120 SV,DEF,FM,OPR,BC
Dancer 225 SV,DEF,IPR,OPR
Dancer2 150 DEF
David2 537 IPR,OPR
David3 252 OCC,DEF,OPR,BC
Dog 127 SV,DEF,OPR
Dog1 1350 SV,IPR,OPR
Doll 3872 IV,SV,OCC,IPR,OPR
FaceOcc1 892 OCC
FaceOcc2 812 IV,OCC,IPR,OPR
Fish 476 IV
FleetFace 707 SV,DEF,MB,FM,IPR,OPR
Football1 74 IPR,OPR,BC
Freeman1 326 SV,IPR,OPR
Freeman3 460 SV,IPR,OPR
Girl2 1500 SV,OCC,DEF,MB,OPR
Gym 767 SV,DEF,IPR,OPR
Human2 1128 IV,SV,MB,OPR
Human5 713 SV,OCC,DEF
Human7 250 IV,SV,OCC,DEF,MB,FM
Human8 128 IV,SV,DEF
Jogging.1 307 OCC,DEF,OPR
Jogging.2 307 OCC,DEF,OPR
KiteSurf 84 IV,OCC,IPR,OPR
Lemming 1336 IV,SV,OCC,FM,OPR,OV
Man 134 IV
Mhyang 1490 IV,DEF,OPR,BC
MountainBike 228 IPR,OPR,BC
Rubik 1997 SV,OCC,IPR,OPR
Singer1 351 IV,SV,OCC,OPR
Skater 160 SV,DEF,IPR,OPR
Skater2 435 SV,DEF,FM,IPR,OPR
Subway 175 OCC,DEF,BC
Suv 945 OCC,IPR,OV
Tiger1 354 IV,OCC,DEF,MB,FM,IPR,OPR
Toy 271 SV,FM,IPR,OPR
Trans 124 IV,SV,OCC,DEF
Twinnings 472 SV,OPR
Vase 271 SV,FM,IPR"""

_OTB2013 = """\
Basketball Bolt Boy Car4 CarDark CarScale Coke Couple Crossing David David2 David3 Deer Dog1 Doll Dudek FaceOcc1
FaceOcc2 Fish FleetFace Football Football1 Freeman1 Freeman3 Freeman4 Girl Ironman Jogging.1 Jogging.2 Jumping Lemming
Liquor Matrix Mhyang MotorRolling MountainBike Shaking Singer1 Singer2 Skating1 Skiing Soccer Subway Suv Sylvester
Tiger1 Tiger2 Trellis Walking Walking2 Woman"""

_SKIPPED = {"Tiger1": 5}
_SEVERAL_TARGETS = re.compile(r"(.+)\.([0-9])")


def _parse(row: str) -> OtbTarget:
    name, frames, attributes = row.split()
    several = _SEVERAL_TARGETS.fullmatch(name)
    first, _, last = frames.rpartition("-")
    return OtbTarget(
        name=name,
        folder=several[1] if several else name,
        truth=f"groundtruth_rect.{several[2]}.txt" if several else "groundtruth_rect.txt",
        first=int(first or 1),
        last=int(last),
        skipped=_SKIPPED.get(name, 0),
        attributes=tuple(attributes.split(",")),
    )


def _index(*rows: str) -> Mapping[str, OtbTarget]:
    targets = sorted((_parse(row) for text in rows for row in text.splitlines()), key=lambda target: target.name)
    return MappingProxyType({target.name: target for target in targets})


OTB100 = _index(_TB50, _OTHERS)
"""100 targets in 98 folders (OTB-2015), by name, in alphabetical order."""

OTB50 = _index(_TB50)
"""The harder half of OTB-100: 50 targets."""

OTB2013: Mapping[str, OtbTarget] = MappingProxyType({name: OTB100[name] for name in _OTB2013.split()})
"""The benchmark of 2013: 51 targets."""
