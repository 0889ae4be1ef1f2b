"""The release gate under the name of older installations; the work is `sopilot gate`."""

import sys

from sopilot.cli.app import main

sys.argv[1:1] = ["gate"]
main()
