"""The wing that speaks Kafka: where records come from and where dead letters go."""
