"""Reports to read: of a comparison, and of one run, also while it trains. Each is one file."""
