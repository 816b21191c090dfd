"""Configuration: layers, origins and files."""
