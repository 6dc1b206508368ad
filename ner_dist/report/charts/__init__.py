"""Charts of the reports as SVG in the page's colours, one kind a module."""
