"""How accurate a bundle is, on every test set, beside a dictionary and the reference's own metric."""
