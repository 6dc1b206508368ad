"""Running on clusters: checks before a job trains, submitting experiments, seeing how far they are."""
