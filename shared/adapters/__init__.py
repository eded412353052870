"""Adapters: the real other side of each port."""
