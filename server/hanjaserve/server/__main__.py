"""`python -m hanjaserve.server`: the server without the rest of the command line."""

import sys

from hanjaserve.server.app import main

sys.exit(main())
