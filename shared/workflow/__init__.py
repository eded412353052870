"""The processing graph as data: steps, and the processors bound to them."""
