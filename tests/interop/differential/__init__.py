"""Stock MLflow and Palate over the same inputs: the cases, what each answers as plain data, and the judgement.

A case is text, a signature as JSON and an expression for the input, so that every release of pandas can take it.
"""
