"""Profiles of hypothesis. No profile has a time limit per example: it would measure the machine, not the code.

`pytest --hypothesis-profile=thorough` tries more examples. CI uses the same examples in each run, so that a test fails only
after a change.
"""

import os

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("repeatable" if os.environ.get("CI") else "house")
