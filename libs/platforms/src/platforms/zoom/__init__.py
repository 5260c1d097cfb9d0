"""Zoom: the recordings of a person or an account, found and announced."""

PLATFORM = "zoom"
