"""The demo: how a secret gets from Keeper into a running pod, and how it is rotated, without a cluster."""
