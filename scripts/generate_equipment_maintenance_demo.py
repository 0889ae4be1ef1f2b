"""The drawn films under the name of older installations; the work is `sopilot films`."""

import sys

from sopilot.cli.app import main

sys.argv[1:1] = ["films"]
main()
