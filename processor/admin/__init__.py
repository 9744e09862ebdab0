"""The admin server: health and metrics of the running connector."""
