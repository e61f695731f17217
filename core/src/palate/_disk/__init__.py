"""Documents and files: strict YAML, confined paths, the manifest, atomic publishing."""
