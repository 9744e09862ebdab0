"""Replays of ranges of source topics."""
