"""Jobs on Kubernetes: one Job object per attempt, over the API server's HTTP, without a client package."""
