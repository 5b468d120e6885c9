"""Thousands of bags on many machines: a bag is a job, Ray gives jobs to workers, counts are added up at the end."""
