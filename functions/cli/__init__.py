"""The operator's console: ``s2ps``."""
