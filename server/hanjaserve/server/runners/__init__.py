"""Runners: what computes candidates of a padded batch of tokens, one module per engine."""
