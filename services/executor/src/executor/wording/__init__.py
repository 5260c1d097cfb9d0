"""Figures and names as messages show them."""
