"""Target assignment, shared by every loss that needs it."""
