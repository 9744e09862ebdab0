"""Telemetry: logs without secrets, and metrics."""
