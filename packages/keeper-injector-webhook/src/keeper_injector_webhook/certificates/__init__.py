"""The webhook's own CA and serving certificate: what they are, when they rotate, and how replicas share them.

:mod:`.authority` decides and signs (pure), :mod:`.stored` reads and writes what replicas share, :mod:`.reconcile` is the program
that applies it to the cluster, :mod:`.files` writes the key pair for the server, and :mod:`.runner` runs the program from the
serving process. The server imports only ``runner``:
``reconcile`` imports a Kubernetes client of 140 MB.
"""

from keeper_injector_webhook.certificates.runner import CertificateJob

__all__ = ["CertificateJob"]
