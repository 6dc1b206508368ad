"""Checks of labelled data, a theme each. Every check returns findings, and none where all is well."""
