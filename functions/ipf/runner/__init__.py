"""The runner: what a Job does around an IPF. Stage in, execute, stage out."""
