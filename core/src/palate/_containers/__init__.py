"""Containers of data: which one it is, and what of it becomes an array or a DataFrame without a value changing."""
