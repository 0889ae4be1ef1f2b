"""A backup under the name of older installations: `--data-dir DIR --out-dir DIR`."""

from sopilot.cli.onprem import backup_script

backup_script()
