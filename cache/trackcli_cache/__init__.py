"""HDF5 crop caches for visual tracking: read datasets, build caches, read crops back at speed. No torch."""

__version__ = "0.1.0"
