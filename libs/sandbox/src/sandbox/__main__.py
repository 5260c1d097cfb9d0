"""`python -m sandbox` serves the sandbox."""

from sandbox.main import main

main()
