"""Zhang and Zhang 2020, *Hard Negative Samples Emphasis Tracker without Anchors*, as components of trackcli."""
