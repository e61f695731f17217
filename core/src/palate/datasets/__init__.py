"""Rows in files, of any number, read piece by piece in bounded memory."""
