"""CHOOSE between classifiers, sample by sample: selector nets, fusion rules, and their scores."""
