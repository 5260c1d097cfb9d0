"""`python -m api`."""

import gc

# What is imported stays. Looking for garbage among it takes a quarter of the processor time of a start.
gc.disable()

from api.main import main  # noqa: E402

gc.freeze()
gc.enable()

main()
