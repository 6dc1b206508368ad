"""What two or more models are compared by: the same ground, differences with error bars, errors, effects."""
