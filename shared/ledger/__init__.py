"""The ledger: one small JSON object for each thing that was seen, planned, claimed, run, produced or refused."""
