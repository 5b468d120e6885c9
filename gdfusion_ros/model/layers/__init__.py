"""Building blocks that know nothing of occupancy."""
