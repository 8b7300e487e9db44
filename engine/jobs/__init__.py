"""Running work: jobs, executors, and the worker process that owns models and device."""
