"""Entry point for ASGI servers (`sopilot.main:app`, `--factory sopilot.main:create_app`)."""
