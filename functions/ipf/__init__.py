"""What a Job runs: the runner, and the open processors."""
