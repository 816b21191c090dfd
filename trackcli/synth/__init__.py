"""Labelled synthetic sequences from a seed: for the demo, for tests and for smoke training.

``scenes`` decides what happens (who moves where, who passes in front), ``rendering`` paints it, ``sequences`` adds the
ground truth and ``files`` writes it in the layout that the ``folder`` dataset reads. numpy and OpenCV only.
"""
