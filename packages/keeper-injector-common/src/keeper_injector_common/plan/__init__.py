"""The plan tells the agent what to do. The webhook writes it as versioned JSON; it contains no secret."""
