"""Scores of predicted grids against ground truth."""
