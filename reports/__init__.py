"""Figures, documents and exports."""
