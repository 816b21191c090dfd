"""Trackers that are not composed here: other people's, run and judged like any other."""
