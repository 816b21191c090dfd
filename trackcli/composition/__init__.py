"""From a configuration to a model: what fits, defaults, building."""
