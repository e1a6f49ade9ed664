"""``keeper-injector explain``: describes what the annotations of a workload will do.

``explanation`` makes a tree of sentences from a workload, and ``explain_command`` prints it.
"""

__all__: list[str] = []
