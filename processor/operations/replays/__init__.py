"""Records and dead letters through the pipeline again."""
