"""`peer.py` with the dbm files of Python 3.13."""

import sqlite_dbm  # noqa: F401: changes what `dbm.open` opens.

import peer  # noqa: F401: runs.
