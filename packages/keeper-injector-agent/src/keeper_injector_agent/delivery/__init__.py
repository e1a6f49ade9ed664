"""Delivery to the pod: from records to files, environment variables and Kubernetes Secrets, and the notification.

Import from the modules, and from outside only from ``refresh`` and ``templating``. Nothing is imported here: each template
is rendered in a child process, which would import all of it.
"""

__all__: list[str] = []
