"""Data sync: which days are read, how they are cut into chunks, and how those get to where they belong."""
