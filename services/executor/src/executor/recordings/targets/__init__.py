"""Where the files of a recording can go: one module each."""
