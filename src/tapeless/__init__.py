"""Derivatives of ordinary Python programs."""
