"""Staging: a Program and the types of its arguments become a nest, by abstract interpretation."""
