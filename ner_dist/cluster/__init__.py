"""Slurm and other ways to several machines: submitting, watching, checking before training."""
