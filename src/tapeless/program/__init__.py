"""The representation that every stage reads and writes: vocabulary, printer, parser, verifier."""
