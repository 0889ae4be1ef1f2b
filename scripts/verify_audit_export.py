"""Verify a signed audit export: `--file FILE --key KEY`; see docs/audit.md."""

from sopilot.cli.audit import verify_script

raise SystemExit(verify_script())
