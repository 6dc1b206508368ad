"""Readers of the formats of annotation tools and other libraries, a module per tool; see `recognise.py`."""
