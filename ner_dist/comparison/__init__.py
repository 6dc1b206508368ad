"""Compare two or more models: on the same ground, differences with error bars, errors, data effects."""
