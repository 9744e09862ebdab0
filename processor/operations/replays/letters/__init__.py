"""Replays of dead letters; discarding and purging them."""
