"""The nouns: frozen records that travel between rooms."""
