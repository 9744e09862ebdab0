"""What operators do: preflight, dead letters, replay, offsets, the books."""
