"""The plan: what the webhook tells the agent to do, as values and as versioned JSON. It contains no secret."""
