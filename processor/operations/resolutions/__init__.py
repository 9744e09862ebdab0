"""What was done about dead letters, and who does it now: in the state topic."""
