"""The HTTP side of the webhook: the ASGI application, its HTTPS server and the certificate that it presents."""

__all__: list[str] = []
