"""Building what a model asks for: interpreters, installers, wheels, cached environments, bundles, files for tools."""
