"""Trackers that ship with trackcli, each with a model card."""
