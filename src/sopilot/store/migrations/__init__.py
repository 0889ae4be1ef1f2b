"""Alembic environment and revisions. Loaded by Alembic only, never imported by the program."""
