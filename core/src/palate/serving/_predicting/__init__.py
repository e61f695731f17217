"""From a request that has arrived whole to its answer: enforced by itself, predicted with others."""
