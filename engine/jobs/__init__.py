"""Running work: jobs, the executors that take them, and the worker process that owns the models and
the device."""
