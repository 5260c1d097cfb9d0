"""What follows from a platform's error, beyond the run that met it: for its account and for its owner."""
