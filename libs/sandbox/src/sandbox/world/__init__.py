"""The made-up business whose accounts the sandbox serves: the same seed makes the same world."""
