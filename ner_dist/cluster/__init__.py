"""Running on clusters: checks before a training, submission of experiments, their progress."""
