"""Boxes, crops, grids, NMS and RoI Align: the geometry every part shares."""
