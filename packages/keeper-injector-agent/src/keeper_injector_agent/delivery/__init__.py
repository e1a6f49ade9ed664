"""Delivery to the pod: from records to files, environment variables and Kubernetes Secrets, and the notification.

``refresh`` delivers everything that a plan requests. The worker starts it with what does I/O: ``templating`` renders templates in
other processes, and ``kubernetes_secret`` writes Secrets through ``api_server``.

Import from the modules. Nothing is imported here, so that a command imports only what it needs.
"""

__all__: list[str] = []
