"""Documentation that is made from code; `./tools/run docs` checks that it is what the code says."""
