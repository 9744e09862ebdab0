"""Do the books balance? From Kafka alone."""
