"""Mapping sets in Adobe's Data Prep form: read, checked, compiled, run (event to XDM entities)."""
