"""NOW USE IT: check, train and evaluate one schedule without a search; the model bundle."""
