"""Tag new text with a trained model: any input, any length, any number of processes."""
