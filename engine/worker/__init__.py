"""The worker's process, its two sockets and all that is said over them: the ground floor."""
