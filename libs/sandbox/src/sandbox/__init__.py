"""A faithful imitation of the platforms and channels Carillon talks to."""
