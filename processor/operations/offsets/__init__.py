"""The group's committed offsets."""
