"""Real jobs under faults: every process is killed, every line is cut, and afterwards everything must add up."""
