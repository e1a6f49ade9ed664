"""A Kubernetes node that needs no Docker, for tests: with a real API server, kubelet and container runtime."""
