"""What the service needs of its store, set up on whichever store it finds: buckets, lifecycle rules, notifications."""
