"""Real parts on this machine's loopback: what the demo, the tests and the benchmark start."""
