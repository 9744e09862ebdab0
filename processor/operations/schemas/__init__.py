"""The schemas folder: what it holds, whether it is right, to and from registries."""
