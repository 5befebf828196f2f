"""Where secrets come from, whether they are still good, and who may have them."""
