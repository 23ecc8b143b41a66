"""What the product does, in plain Python: nouns in model/, one verb a module."""
