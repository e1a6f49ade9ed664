"""The relay: asks Keeper for many pods, and publishes the answers encrypted. It has no key to read them.

A KSM configuration has two independent parts: the identity of a device, which may ask Keeper, and the application's key,
which reads what comes back. :mod:`.halves` separates them. The relay gets the identity, pods get the key.
"""
