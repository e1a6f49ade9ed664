"""How hypothesis runs here: a time limit per example would test the machine, not the code.

`pytest --hypothesis-profile=thorough` looks further; CI looks at the same examples each time, so that a red run means a
change and not luck.
"""

import os

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("repeatable" if os.environ.get("CI") else "house")
