"""Reports: what an evaluation or a training run found, as a page, as plots and as tables."""
