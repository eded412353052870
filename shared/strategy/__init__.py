"""Strategies as documents and in the store: reading them, their versions, and which one is active."""
