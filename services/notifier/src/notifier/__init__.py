"""Delivers results to Telegram and webhooks."""
