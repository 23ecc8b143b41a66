"""Pure functions from frozen view data to Block Kit JSON."""
