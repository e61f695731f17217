"""Examples and predictions as JSON: written, read back exactly, compared."""
