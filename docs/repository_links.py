#!/usr/bin/env python3
"""A preprocessor of mdBook: links that leave this folder lead to the repository.

The pages link to files of the repository by relative paths, which work on code hosts. The built book does not contain
these files.
"""

import json
import re
import sys

REPOSITORY = "https://github.com/dogpile-rs/dogpile/blob/main/"
OUTSIDE = re.compile(r"(?<=\]\()\.\./(?=[^)]*\))")


def rewrite(item):
    """Rewrites the links of a chapter, and of all that it contains."""
    if isinstance(item, list):
        for one in item:
            rewrite(one)
    elif isinstance(item, dict):
        if isinstance(item.get("content"), str):
            item["content"] = OUTSIDE.sub(REPOSITORY, item["content"])
        for value in item.values():
            rewrite(value)


def main():
    if sys.argv[1:2] == ["supports"]:
        sys.exit(0 if sys.argv[2:] == ["html"] else 1)
    _context, book = json.load(sys.stdin)
    rewrite(book)
    json.dump(book, sys.stdout)


main()
