"""Predict the memory and time of a training on given hardware."""
