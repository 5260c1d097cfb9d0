"""What a platform's error does beyond the run that met it: to its connection, automations and owner."""
