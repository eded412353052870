"""File transfer: one session file from its station into the store."""
