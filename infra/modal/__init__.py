"""Bright Run on Modal: the app that is deployed there, and the `Compute` port over its GPU function."""
