"""Python's side of the serializers: writes and reads values as dogpile.cache's users do.

Reads one JSON object a line, and replies with one. `write` evaluates a Python expression and returns the bytes of its
value in hexadecimal. `read` returns the `repr` of the value of some bytes. If Python cannot do it, `refused` is the reason.
The first line is a configuration, which is not used. The process ends with its standard input.
"""

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import pickle
import sys
import uuid

import msgpack


@dataclasses.dataclass
class Point:
    x: int


Pair = collections.namedtuple("Pair", "a b")


class Color(enum.IntEnum):
    RED = 1


class Text(str):
    pass


NAMES = {
    "Color": Color,
    "Decimal": decimal.Decimal,
    "OrderedDict": collections.OrderedDict,
    "Pair": Pair,
    "Point": Point,
    "Text": Text,
    "UUID": uuid.UUID,
    "date": datetime.date,
    "datetime": datetime.datetime,
}

WRITERS = {
    "json": lambda value, protocol: json.dumps(value).encode(),
    "msgpack": lambda value, protocol: msgpack.packb(value),
    "pickle": lambda value, protocol: pickle.dumps(value, protocol),
}

READERS = {
    "json": json.loads,
    "msgpack": lambda written: msgpack.unpackb(written, strict_map_key=False),
    "pickle": pickle.loads,
}


def write(serializer, value, protocol=None):
    return {"bytes": WRITERS[serializer](eval(value, dict(NAMES)), protocol).hex()}


def read(serializer, written):
    return {"value": repr(READERS[serializer](bytes.fromhex(written)))}


COMMANDS = {"write": write, "read": read}


def main():
    sys.stdin.readline()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            reply = COMMANDS[command.pop("do")](**command)
        except Exception as error:
            reply = {"refused": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


main()
