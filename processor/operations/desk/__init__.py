"""What the admin server asks about dead letters and replays, done in child processes."""
