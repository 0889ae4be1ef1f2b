"""A task's thresholds, weights and policy from the command line; see `--help`."""

from sopilot.cli.onprem import profile_script

profile_script()
