"""Ways to run a composed network faster than it was trained."""
