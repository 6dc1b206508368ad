"""Trained models as parts of other libraries' pipelines."""
