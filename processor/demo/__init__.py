"""The demo: real parts, invented customers, a mistake and its mend."""
