"""Access to Keeper: the port that the agent needs, and its implementation on Keeper's SDK."""
