"""Weights: files in and out, their names, and random ones to start from."""
