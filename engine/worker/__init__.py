"""The worker process, its socket pair and all messages over it: the ground floor."""
