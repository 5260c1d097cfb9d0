"""Zoom: sign-in, the REST API for cloud recordings, their download, and webhooks."""
