"""Runners: one file per runtime, and the ladder that chooses."""
