"""Pure domain of the ground segment: names, sessions, deadlines, accounts. Standard library and pydantic only."""
