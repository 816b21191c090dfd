"""One module per dataset layout; the entries say what there is."""
