"""Station poll: what is new at the pick-up points."""
