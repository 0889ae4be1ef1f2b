"""Procedures in the looks of real work, drawn by program, with exact truth (docs: scoring)."""
