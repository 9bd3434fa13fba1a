"""What Python 3.13 has as `dbm.sqlite3`, for the Python of Debian, which is older: the same table, the same statements.

Importing it makes `dbm.open` open such files.
"""

import dbm
import pathlib
import sqlite3
from collections.abc import MutableMapping

BUILD = "CREATE TABLE IF NOT EXISTS Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)"
SIZE = "SELECT COUNT (key) FROM Dict"
LOOKUP = "SELECT value FROM Dict WHERE key = CAST(? AS BLOB)"
STORE = "REPLACE INTO Dict (key, value) VALUES (CAST(? AS BLOB), CAST(? AS BLOB))"
DELETE = "DELETE FROM Dict WHERE key = CAST(? AS BLOB)"
KEYS = "SELECT key FROM Dict"

MODES = {"r": "ro", "w": "rw", "c": "rwc", "n": "rwc"}


class Database(MutableMapping):
    def __init__(self, path, flag):
        uri = f"{pathlib.Path(path).absolute().as_uri()}?mode={MODES[flag]}"
        self.connection = sqlite3.connect(uri, isolation_level=None, uri=True)
        try:
            self.connection.execute("PRAGMA journal_mode = wal")
        except sqlite3.OperationalError:
            pass  # An optimisation only.
        if flag in "cn":
            self.connection.execute(BUILD)
        if flag == "n":
            self.connection.execute("DELETE FROM Dict")

    def __getitem__(self, key):
        row = self.connection.execute(LOOKUP, (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return row[0]

    def __setitem__(self, key, value):
        self.connection.execute(STORE, (key, value))

    def __delitem__(self, key):
        if not self.connection.execute(DELETE, (key,)).rowcount:
            raise KeyError(key)

    def __len__(self):
        return self.connection.execute(SIZE).fetchone()[0]

    def __iter__(self):
        return (row[0] for row in self.connection.execute(KEYS))

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


dbm.open = lambda file, flag="r", mode=0o666: Database(file, flag)
