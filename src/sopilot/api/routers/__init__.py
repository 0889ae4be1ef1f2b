"""One router per noun; `ALL` is what the application mounts at each of its prefixes."""
