"""Kafka Connect's REST API, true to Connect 4.1 in paths, bodies and status codes."""
