"""Scoring on any number of ranks: counts, metrics, files of predictions, and `ner-dist evaluate`."""
