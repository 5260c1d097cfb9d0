"""Advertising in the words all platforms share."""
