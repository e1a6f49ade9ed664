"""Delivery to the pod: from records to files, environment variables and Kubernetes Secrets, and the notification.

Import from the modules, and from outside only from ``refresh`` and ``templating``. Nothing is imported here, so that a
command imports only what it needs.
"""

__all__: list[str] = []
