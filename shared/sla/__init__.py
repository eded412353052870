"""The promise is watched: what is to be expected of each level of an open session, and what follows from an account."""
