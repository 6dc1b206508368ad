"""An HTTP server and a page that tag texts with trained models."""
