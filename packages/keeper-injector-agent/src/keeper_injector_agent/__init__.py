"""Fetch secrets from Keeper Secrets Manager into a pod, and keep them fresh."""

from importlib.metadata import version

__version__ = version("keeper-injector-agent")
