"""The smoke test under the name of older installations; the work is `sopilot smoke`."""

import sys

from sopilot.cli.app import main

sys.argv[1:1] = ["smoke"]
main()
