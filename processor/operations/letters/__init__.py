"""Dead letters: found, described, counted, exported."""
