"""One record's whole story."""
