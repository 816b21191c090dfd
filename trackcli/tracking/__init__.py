"""Tracking with a composed model: the step, the session, timing."""
