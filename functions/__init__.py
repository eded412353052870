"""What runs: one folder per function or Job; a folder is one step of the service."""
