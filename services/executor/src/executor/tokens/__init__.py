"""Keeping the connections' tokens alive: renewed before they end, once for everybody, and never lost."""
