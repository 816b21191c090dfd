"""The plugin host: hook specifications, component specs and their discovery."""
