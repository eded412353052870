"""Rehearsals: the real steps on a virtual clock, for a day of passes, a cluster of nodes, and faults on demand."""
