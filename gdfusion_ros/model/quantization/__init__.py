"""8-bit integers in the place of a trained network's convolutions: calibrated, chosen by measurement, in a file."""
