"""Fine-tune encoders for named-entity recognition on any number of GPUs, and compare the results."""

__version__ = "0.1.0"
