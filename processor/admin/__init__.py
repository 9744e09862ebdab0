"""The admin server: Kafka Connect's REST API for the one connector, health and metrics."""
