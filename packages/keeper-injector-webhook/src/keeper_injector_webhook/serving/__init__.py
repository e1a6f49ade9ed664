"""The ASGI application, its HTTPS server and the certificate that the server presents."""
