"""Evaluation: protocols, metrics, result files and the runner."""
