"""What the platforms' refusals ask of us: one table a platform from its own codes to consequences.

Shared by those who read a platform and those who connect accounts on it. Everything here is pure.
"""
