"""Source text to Program."""
