"""Video in and out: sources, images, sinks and drawing."""
