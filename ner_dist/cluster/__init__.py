"""Running on a cluster: what is submitted, what runs, and how far it is."""
