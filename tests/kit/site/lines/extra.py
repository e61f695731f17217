"""A module that comes with the framework and is of no use to the flavor."""
