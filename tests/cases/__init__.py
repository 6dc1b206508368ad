"""Inputs on which something went wrong, a folder each, with what is right."""
