"""The receiver measured against what else one could put in its place."""
