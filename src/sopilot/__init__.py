"""SOPilot: on-prem video intelligence for work."""

__version__ = "0.1.0"
