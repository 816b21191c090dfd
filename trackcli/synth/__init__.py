"""Synthetic labelled sequences from a seed."""
