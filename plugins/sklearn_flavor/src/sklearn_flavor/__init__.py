"""The scikit-learn flavor of Palate."""
