"""Inputs that caused a bug, one folder each, with the correct result."""
