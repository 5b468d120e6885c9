"""What the networks are trained for: an objective stands with its network, one file a family."""
