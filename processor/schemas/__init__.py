"""Bytes to event: the schemas folder, safe Avro decoding, JSON, wire formats, the registry."""
