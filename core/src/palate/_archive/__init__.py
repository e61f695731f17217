"""A model in one file: how it is laid out, written, read and unpacked."""
