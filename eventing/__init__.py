"""Events: the HTTP binding, store notification dialects, the local broker and runtime."""
