"""The documentation as a site: mkdocs' configuration, and what it needs to build from the repository's own files."""
