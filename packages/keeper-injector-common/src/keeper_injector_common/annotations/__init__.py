"""From annotations to an injection request: the vocabulary, the readers and the request itself."""
