"""Networks as graphs for other runtimes (docs/deploy.md)."""
