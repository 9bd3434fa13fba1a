"""A Python process beside the one under test, over the same servers and files, with the real dogpile.cache.

Reads one JSON object a line and answers each by one. The first configures a region: `backend`, `arguments`, and, if
wanted, `serializer` (`json`; Python's pickle otherwise), `expiration_time` and `mangled` (SHA-1 keys). The others are
commands: `do` names a method of `Peer`, the rest are its arguments. It ends with its standard input.
"""

import json
import sys

from dogpile.cache import make_region
from dogpile.cache.api import NO_VALUE
from dogpile.cache.util import function_key_generator
from dogpile.cache.util import function_multi_key_generator
from dogpile.cache.util import kwarg_function_key_generator
from dogpile.cache.util import sha1_mangle_key

GENERATORS = {
    "plain": function_key_generator,
    "kwarg": kwarg_function_key_generator,
    "multi": function_multi_key_generator,
}


def tell(answer):
    print(json.dumps(answer), flush=True)


def hear():
    line = sys.stdin.readline()
    if not line:
        sys.exit()
    return json.loads(line)


class Peer:
    def __init__(self, backend, arguments, serializer=None, expiration_time=None, mangled=False):
        options = {"key_mangler": sha1_mangle_key} if mangled else {}
        if serializer == "json":
            options["serializer"] = lambda value: json.dumps(value).encode()
            options["deserializer"] = json.loads
        self.region = make_region(**options)
        self.region.configure(backend, expiration_time=expiration_time, arguments=arguments)
        self.held = {}

    def get(self, key):
        value = self.region.get(key)
        return {"missing": True} if value is NO_VALUE else {"value": value}

    def set(self, key, value):
        self.region.set(key, value)
        return {}

    def get_multi(self, keys):
        values = self.region.get_multi(keys)
        return {"values": [None if value is NO_VALUE else value for value in values]}

    def set_multi(self, values):
        self.region.set_multi(values)
        return {}

    def delete(self, key):
        self.region.delete(key)
        return {}

    def get_or_create(self, key, value):
        """Says `creating` when it creates, and then waits to be told to go on."""
        created = False

        def creator():
            nonlocal created
            created = True
            tell({"creating": key})
            hear()
            return value

        found = self.region.get_or_create(key, creator)
        return {"value": found, "created": created}

    def acquire(self, key, wait=False):
        mutex = self.region.backend.get_mutex(self.mangled(key))
        taken = bool(mutex.acquire(wait))
        if taken:
            self.held[key] = mutex
        return {"value": taken}

    def release(self, key):
        self.held.pop(key).release()
        return {}

    def key_is_locked(self, key):
        return {"value": bool(self.region.key_is_locked(self.mangled(key)))}

    def function_keys(self, calls):
        """The key of each call: `generator`, `name` (of module and function), `namespace`, `parameters` (as in a
        `def`), `args` and `kwargs`, these two in Python."""
        return {"values": [self.function_key(**call) for call in calls]}

    def function_key(self, generator, name, namespace, parameters, args, kwargs):
        generate = GENERATORS[generator](namespace, function(name, parameters, "None"))
        return generate(*eval(args), **eval(kwargs))

    def call(self, name, namespace, parameters, args, answer):
        """Calls a function that was decorated, and answers `answer`, in Python, when it is evaluated."""
        evaluations = []
        decorate = self.region.cache_on_arguments(namespace=namespace)
        decorated = decorate(function(name, parameters, f"evaluations.append(1) or {answer}", evaluations=evaluations))
        value = decorated(*eval(args))
        return {"value": value, "evaluated": bool(evaluations)}

    def mangled(self, key):
        return self.region.key_mangler(key) if self.region.key_mangler else key


def function(name, parameters, answer, **names):
    module, name = name.rsplit(":", 1)
    names["__name__"] = module
    exec(f"def {name}({parameters}): return {answer}", names)
    return names[name]


def main():
    peer = Peer(**hear())
    tell({"ready": True})
    while True:
        command = hear()
        try:
            answer = getattr(peer, command.pop("do"))(**command)
        except Exception as error:  # Told, and left to the test.
            answer = {"error": f"{type(error).__name__}: {error}"}
        tell(answer)


main()
