"""Processes that serve: the sockets they listen on, the workers, what ends and replaces those that stand still."""
