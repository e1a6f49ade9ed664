"""The demo: one secret on its way from Keeper into a running pod, and its rotation, with no cluster."""
