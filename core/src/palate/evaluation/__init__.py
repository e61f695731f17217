"""What a model is worth: metrics, comparison, reports and gates."""
