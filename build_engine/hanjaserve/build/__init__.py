"""From training data to a served bundle: data, train, evaluate, export, verify, publish."""
