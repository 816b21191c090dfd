"""The built-in components: an ordinary plugin."""
