"""The process of the sidecar that stays: ``process`` is its program, and only this package may run in it.

It imports nothing but itself and a few C modules of the standard library, because what it imports stays in memory in every pod.
"""
