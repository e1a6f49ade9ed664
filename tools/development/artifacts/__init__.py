"""Builds what a release ships from a commit: the same commit gives the same bytes."""
