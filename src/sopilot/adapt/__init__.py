"""Commands of the adaptation that older installations call by module name."""
