"""Vision-language models: one client, one detection pass, and what is found without a model."""
