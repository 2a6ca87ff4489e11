"""Values of command lines that more than one benchmark takes."""

import argparse


def positive(text: str) -> float:
    """A number above 0, of seconds or of milliseconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number below 1,000,000")
    return value


def rounds(text: str) -> int:
    """How often to measure."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not a number of rounds: use 1 to 100")
    return value
