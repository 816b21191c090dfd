"""Distance-IoU box loss for trackcli."""
