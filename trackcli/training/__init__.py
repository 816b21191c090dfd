"""Training: data, loop, schedule, checkpoints, validation."""
