"""The webhook's own certificate: creating it, storing it in the cluster and renewing it."""
