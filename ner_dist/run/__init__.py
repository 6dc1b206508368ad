"""A run on disk: its directory, who holds it, its events and its provenance."""
