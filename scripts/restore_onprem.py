"""A restore under the name of older installations: `--backup FILE --data-dir DIR [--force]`."""

from sopilot.cli.onprem import restore_script

restore_script()
