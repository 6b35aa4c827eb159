"""suite.py -- counts checks by client and feature, and prints a row a feature, as js/suite.mjs does:
client, version, feature, checks, failed, why (of the first that failed), with tabs between."""

import importlib.metadata
import json
import os
import time
import urllib.request

URL = os.environ["AERIE_URL"]
KEYED_URL = os.environ["AERIE_KEYED_URL"]
KEY = os.environ["AERIE_KEY"]

# The models that are served: one that babbles, and one that was taught a few replies to the letter.
BABBLER = "nursery"
SPEAKER = "speaker"
HELLO = "Hello there."
ROME = {"city": "Rome"}


def says(content):
    return [{"role": "user", "content": content}]


FOX = says("Tell me of a fox.")


class Tally:
    checks = failed = 0
    why = ""


tally = Tally()


def _count(good, what):
    tally.checks += 1
    if good:
        return
    tally.failed += 1
    tally.why = tally.why or " ".join(what.split())[:400]


def ok(value, what):
    _count(bool(value), f"{what}: {value!r}")


def same(value, wanted, what):
    _count(value == wanted, f"{what}: {value!r} is not {wanted!r}")


def fails(call, kind, status, words, what):
    """The call raises this kind of error, with this status, and says this."""
    try:
        value = call()
    except kind as error:
        got = getattr(error, "status_code", None)
        _count(got == status, f"{what}: status {got}, not {status}: {error}")
        _count(words in str(error), f"{what}: no {words!r} in {error}")
    else:
        _count(False, f"{what}: it did not fail: {value!r}")


def metric(name):
    with urllib.request.urlopen(URL + "/metrics") as reply:
        lines = reply.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def cancels(leave, what):
    """What leave() does makes the server cancel a request, and none stays behind."""
    before = metric("aerie_requests_cancelled_total")
    leave()
    for _ in range(200):
        if metric("aerie_requests_cancelled_total") > before and metric("aerie_requests_running") == 0:
            return _count(True, what)
        time.sleep(0.05)
    _count(False, f"{what}: not within ten seconds")


def client(name, package):
    version = importlib.metadata.version(package)

    def feature(body):
        """Runs the body at once; its name is the feature's."""
        tally.checks, tally.failed, tally.why = 0, 0, ""
        try:
            body()
        except Exception as error:  # a feature that ends early has failed, and the next one begins
            _count(False, f"{type(error).__name__}: {error}")
        row = [name, version, body.__name__.replace("_", " "), tally.checks, tally.failed, tally.why]
        print(*row, sep="\t", flush=True)

    return feature


def schema_of(model):
    return json.loads(json.dumps(model.model_json_schema()))
