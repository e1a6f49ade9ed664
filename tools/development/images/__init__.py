"""Builds the container images with docker, podman or buildah."""
