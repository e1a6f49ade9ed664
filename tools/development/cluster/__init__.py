"""A Kubernetes node of our own, for tests where there is no docker: a real API server, kubelet and container runtime."""
