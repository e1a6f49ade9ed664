"""Generators of documentation from code; `./tools/run docs` checks that the result is up to date."""
