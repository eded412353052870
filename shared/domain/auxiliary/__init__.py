"""Auxiliary data: names, types, selection policies, the set of a job, what to do where it is not complete. All pure."""
