"""New plugins: complete small packages, written from templates by ``trackcli plugins new``."""
