"""The demo: its training file, and the main job played as people would play it."""
