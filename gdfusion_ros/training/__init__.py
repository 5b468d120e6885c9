"""Training: streams of sequences, losses, the trainer."""
