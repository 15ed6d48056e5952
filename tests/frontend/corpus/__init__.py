"""Programs, one file a subject, that run both plainly and by way of their Program: see `test_corpus`."""
