"""Operation of an installation: its database's figures and care. Beside sop, above library."""
