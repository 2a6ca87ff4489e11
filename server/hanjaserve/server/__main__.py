"""`python -m hanjaserve.server`: the server without the rest of the command line."""

import sys

from hanjaserve.server.command import main

sys.exit(main())
