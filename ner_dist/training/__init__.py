"""Training: the trainer, its loop of steps, the optimizer, metrics, checkpoints, and the end of a run."""
