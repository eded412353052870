"""The local runtime: what Knative does for the service on a cluster, done on one machine from the same manifests."""
