"""What `inv` finds; it hands over to the package of the same name.

Invoke (2.1 and later) takes a `tasks.py` before a `tasks/` folder and registers this file under the name `tasks`.
Freeing the name lets the import below find the package, through the root that Invoke put on `sys.path`.
"""

import sys

del sys.modules[__name__]
from tasks import ns  # noqa: E402, F401
