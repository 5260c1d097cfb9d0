"""Processing claimed recordings, step by step."""
