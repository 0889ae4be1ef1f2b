"""The demo flow under the name of older installations; the work is `sopilot flow`."""

import sys

from sopilot.cli.app import main

sys.argv[1:1] = ["flow"]
main()
