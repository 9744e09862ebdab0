"""What `processor check` looks at."""
