"""The HTTP side of the webhook: the ASGI application, its HTTPS server and the certificate that it presents."""

from keeper_injector_webhook.serving.server import ServerOptions, serve

__all__ = ["ServerOptions", "serve"]
