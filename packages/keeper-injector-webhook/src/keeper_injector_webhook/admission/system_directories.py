"""The directories of a container that a volume must not hide, each with the reason.

A memory volume hides whatever the image has at the same path, and containers mount it read-only. Directories that most images need
are refused; a few others only cause a warning. Directories below them are free unless the table says *tree*: ``/etc/app`` is a good
path, ``/etc`` is not.
"""

from __future__ import annotations

from keeper_injector_common.annotations.directories import ancestors

_PROGRAMS = "holds programs of the image"
_LIBRARIES = "holds libraries of the image, without which no program starts"
_RUNTIME = "holds sockets and PID files, and Kubernetes mounts the service account token below it"
_TOKEN = "is where Kubernetes mounts the service account token"  # noqa: S105 - a sentence
_TEMPORARY = "must stay writable for temporary files"

_REFUSED = {
    "/bin": _PROGRAMS,
    "/boot": "belongs to the system",
    "/etc": "holds files that the container needs to start, and Kubernetes mounts hosts and resolv.conf in it",
    "/etc/alternatives": _PROGRAMS,
    "/lib": _LIBRARIES,
    "/lib32": _LIBRARIES,
    "/lib64": _LIBRARIES,
    "/libx32": _LIBRARIES,
    "/run": _RUNTIME,
    "/run/secrets": _TOKEN,
    "/sbin": _PROGRAMS,
    "/tmp": _TEMPORARY,  # noqa: S108 - a path in the application's containers
    "/usr": _PROGRAMS,
    "/usr/bin": _PROGRAMS,
    "/usr/lib": _LIBRARIES,
    "/usr/lib32": _LIBRARIES,
    "/usr/lib64": _LIBRARIES,
    "/usr/libexec": _PROGRAMS,
    "/usr/local": _PROGRAMS,
    "/usr/local/bin": _PROGRAMS,
    "/usr/local/lib": _LIBRARIES,
    "/usr/local/sbin": _PROGRAMS,
    "/usr/sbin": _PROGRAMS,
    "/usr/share": "holds data of the image's programs",
    "/var": _RUNTIME,
    "/var/run": _RUNTIME,
    "/var/run/secrets": _TOKEN,
    "/var/tmp": _TEMPORARY,  # noqa: S108 - a path in the application's containers
}
"""Directories that may not be hidden; those below them may."""

_REFUSED_TREES = {
    "/dev": "holds devices, and the container runtime fills it",
    "/proc": "is the kernel's, and container runtimes mount nothing there",
    "/run/secrets/kubernetes.io": _TOKEN,
    "/sys": "is the kernel's, and no directory can be created there",
    "/var/run/secrets/kubernetes.io": _TOKEN,
}
"""Directories that may not be hidden, and neither may those below them."""

_TREES = tuple(f"{path}/" for path in _REFUSED_TREES)

_CERTIFICATES = "holds the CA certificates that the image trusts"
_CAUTION = {
    "/etc/pki": _CERTIFICATES,
    "/etc/pki/tls/certs": _CERTIFICATES,
    "/etc/ssl": _CERTIFICATES,
    "/etc/ssl/certs": _CERTIFICATES,
    "/home": "holds the files of the image's users",
    "/opt": "holds programs in many images",
    "/root": "holds the files of the image's user",
    "/usr/local/etc": "holds the configuration of programs in many images",
    "/usr/local/share": "holds data of programs in many images",
    "/usr/share/ca-certificates": _CERTIFICATES,
    "/var/lib": "holds the state of programs in many images",
    "/var/log": "holds logs, which a read-only volume prevents",
}
"""Directories that may be hidden, but where that is probably a mistake."""


def why_refused(directory: str) -> str | None:
    """Return why no volume can be mounted at *directory*, as the end of a sentence; None if one can."""
    if f"{directory}/".startswith(_TREES):
        return next(_REFUSED_TREES[path] for path in (*ancestors(directory), directory) if path in _REFUSED_TREES)
    return _REFUSED.get(directory)


def why_careful(directory: str) -> str | None:
    """Return what a volume at *directory* hides in most images, as the end of a sentence; None if nothing is known."""
    return _CAUTION.get(directory)
