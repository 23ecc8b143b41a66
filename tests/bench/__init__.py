"""Measurements of what we claim, ours against a baseline in the same run. `make bench`."""
