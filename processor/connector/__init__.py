"""The machine that turns: records in, one ending each, offsets out."""
