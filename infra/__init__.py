"""Adapters to the outside, and the wiring."""
