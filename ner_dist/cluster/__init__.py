"""Several machines: submitting, watching, checking before training."""
