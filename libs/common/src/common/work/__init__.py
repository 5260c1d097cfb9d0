"""Claimed work: what runs, recordings and deliveries have in common."""
