"""``keeper-injector explain``: show what the annotations of a workload will do."""
