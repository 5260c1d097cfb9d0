"""One client a platform: its HTTP shapes, and one table from its error codes to their consequences."""
