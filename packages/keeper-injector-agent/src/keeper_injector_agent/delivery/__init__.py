"""From records to the pod: files, environment variables, Kubernetes Secrets and notifications."""
