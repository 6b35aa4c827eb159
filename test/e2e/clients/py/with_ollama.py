"""with_ollama.py -- PyPI's ollama."""

import asyncio
import datetime
from typing import Literal

import ollama
from pydantic import BaseModel, Field

from suite import BABBLER, FOX, HELLO, KEY, KEYED_URL, ROME, SPEAKER, URL, cancels, client, fails, ok, same, says

feature = client("ollama (PyPI)", "ollama")
server = ollama.Client(host=URL)
options = {"seed": 7, "num_predict": 20}
zero = {"temperature": 0}


class Animal(BaseModel):
    animal: Literal["fox", "owl"]
    age: int = Field(ge=1, le=9)


def weather(city: str) -> str:
    """The weather.

    Args:
        city: where
    """
    return "rain" if city == "Rome" else "sun"


def text(pieces):
    return "".join(p.message.content or "" for p in pieces)


@feature
def list_and_show():
    one = next(m for m in server.list().models if m.model == BABBLER + ":latest")
    ok(one.size > 1e6, "its size")
    ok(len(one.digest) == 64, "its digest")
    ok(isinstance(one.modified_at, datetime.datetime), "its date")
    ok(one.details.format == "gguf" and one.details.parameter_size, "its details")
    shown = server.show(BABBLER)
    ok(shown.template and shown.modelfile, "template and Modelfile")
    ok(shown.modelinfo["general.architecture"], "its metadata")
    ok("completion" in shown.capabilities, "what it can do")
    fails(lambda: server.show("missing"), ollama.ResponseError, 404, "not found", "what is not there")


@feature
def chat():
    reply = server.chat(BABBLER, FOX, options=options)
    same((reply.model, reply.message.role, reply.done, reply.done_reason), (BABBLER, "assistant", True, "length"), "a reply")
    ok(reply.message.content, "content")
    same(reply.eval_count, 20, "tokens of the reply")
    ok(reply.total_duration > 0 and reply.eval_duration > 0 and reply.prompt_eval_count > 3, "durations and counts")
    pieces = list(server.chat(BABBLER, FOX, options=options, stream=True))
    same(text(pieces), reply.message.content, "streamed it is the same")
    same([p.done for p in pieces].count(True), 1, "one end")
    same(server.chat(SPEAKER, says("hello"), options=zero).message.content, HELLO, "a reply that ends by itself")
    ok(server.chat(BABBLER, [ollama.Message(role="user", content="x")], options=options).done, "messages as objects")


@feature
def generate():
    reply = server.generate(BABBLER, "Tell me of a fox.", options=options)
    ok(reply.response and reply.done_reason == "length", "a text")
    pieces = list(server.generate(BABBLER, "Tell me of a fox.", options=options, stream=True))
    same("".join(p.response for p in pieces), reply.response, "streamed it is the same")
    ok(server.generate(BABBLER, "x", raw=True, options=options).eval_count == 20, "raw")
    ok(server.generate(BABBLER, "x", system="Be brief.", options=ollama.Options(num_predict=2)).eval_count == 2, "options as an object")
    same(server.generate(BABBLER, "").done_reason, "load", "nothing loads")


@feature
def format():
    made = server.chat(BABBLER, FOX, format=Animal.model_json_schema(), options={"seed": 3, "temperature": 2})
    ok(Animal.model_validate_json(made.message.content), "a schema of pydantic")
    made = server.generate(BABBLER, "x", format=Animal.model_json_schema())
    ok(Animal.model_validate_json(made.response), "generate")
    fails(lambda: server.chat(BABBLER, FOX, format={"not": {}}), ollama.ResponseError, 400, "not", "what cannot be enforced")


@feature
def tools():
    reply = server.chat(SPEAKER, says("weather"), tools=[weather], options=zero)
    call = reply.message.tool_calls[0].function
    same((call.name, dict(call.arguments)), ("weather", ROME), "a call of a function of Python")
    after = [*says("weather"), reply.message, {"role": "tool", "tool_name": "weather", "content": weather(**call.arguments)}]
    same(server.chat(SPEAKER, after, tools=[weather], options=zero).message.content, "It rains.", "its result is read")
    pieces = list(server.chat(SPEAKER, says("weather"), tools=[weather], options=zero, stream=True))
    same([c.function.name for p in pieces for c in p.message.tool_calls or []], ["weather"], "streamed")
    same(server.chat(SPEAKER, says("hello"), tools=[weather], options=zero).message.content, HELLO, "no call")


@feature
def think():
    reply = server.chat(SPEAKER, says("ponder"), think=True, options=zero)
    same((reply.message.thinking, reply.message.content), ("I see.", "Yes."), "thoughts and what is said")
    reply = server.chat(SPEAKER, says("ponder"), think=False, options=zero)
    same((reply.message.thinking, reply.message.content), (None, "Yes."), "none")
    pieces = list(server.generate(SPEAKER, "ponder", think="low", stream=True, options=zero))
    same("".join(p.thinking or "" for p in pieces), "I see.", "a level, streamed")
    fails(lambda: server.chat(BABBLER, FOX, think=True), ollama.ResponseError, 400, "does not support thinking", "a model that does not")


@feature
def logprobs():
    reply = server.chat(BABBLER, FOX, options=options, logprobs=True, top_logprobs=2)
    same(len(reply.logprobs), 20, "one a token")
    same("".join(p.token for p in reply.logprobs), reply.message.content, "the tokens are the text")
    same({len(p.top_logprobs) for p in reply.logprobs}, {2}, "with the most likely")


@feature
def embed():
    one, two = server.embed(BABBLER, "A fox."), server.embed(BABBLER, ["A fox.", "An owl."])
    same((len(two.embeddings), two.embeddings[0]), (2, one.embeddings[0]), "alone and in a list")
    ok(abs(sum(x * x for x in one.embeddings[0]) - 1) < 1e-4, "of length 1")
    same(len(server.embed(BABBLER, "A fox.", dimensions=16).embeddings[0]), 16, "dimensions")
    same(len(server.embeddings(BABBLER, "A fox.").embedding), len(one.embeddings[0]), "the older route")


@feature
def keep_alive_and_ps():
    server.generate(BABBLER, "", keep_alive="20m")
    one = next(m for m in server.ps().models if m.model == BABBLER + ":latest")
    left = (one.expires_at - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    ok(18 * 60 < left < 21 * 60, "it stays for twenty minutes")
    ok(one.size > 0 and one.context_length > 0, "ps")
    same(server.generate(BABBLER, "", keep_alive=0).done_reason, "unload", "unloaded")


@feature
def copy_and_delete():
    same(server.copy(SPEAKER, "pytwin").status, "success", "copied")
    ok("pytwin:latest" in [m.model for m in server.list().models], "listed")
    same(server.delete("pytwin").status, "success", "deleted")
    fails(lambda: server.delete("pytwin"), ollama.ResponseError, 404, "not found", "twice")


@feature
def create():
    same(server.create("polite", from_=SPEAKER, system="Be polite.").status, "success", "created")
    ok("Be polite." in server.show("polite").modelfile, "its system")
    steps = [s.status for s in server.create("polite", from_=SPEAKER, parameters=zero, stream=True)]
    same(steps[-1], "success", "streamed")
    server.delete("polite")
    fails(lambda: server.create("polite"), ollama.ResponseError, 400, "from", "of nothing")


@feature
def errors_and_keys():
    fails(lambda: server.chat("missing", FOX), ollama.ResponseError, 404, "model 'missing' not found", "no such model")
    fails(lambda: list(server.chat("missing", FOX, stream=True)), ollama.ResponseError, 404, "not found", "streamed")
    fails(lambda: server.chat(BABBLER, FOX, options={"num_ctx": "x"}), ollama.ResponseError, 400, "num_ctx", "a wrong type")
    keyed = lambda key: ollama.Client(host=KEYED_URL, headers={"Authorization": "Bearer " + key})
    fails(lambda: keyed("wrong").list(), ollama.ResponseError, 401, "key", "a wrong key")
    ok(keyed(KEY).list().models, "the right one")


@feature
def asynchronous():
    async def several():
        one = ollama.AsyncClient(host=URL)
        asks = [one.chat(SPEAKER, says("hello"), options=zero) for _ in range(8)]
        return [r.message.content for r in await asyncio.gather(*asks)]

    same(asyncio.run(several()), [HELLO] * 8, "eight at once")


@feature
def abort():
    def leave():
        stream = server.chat(BABBLER, FOX, stream=True, options={"num_predict": 3000}, format={"type": "array", "items": {"type": "integer"}, "minItems": 900})
        next(stream)
        stream.close()

    cancels(leave, "the server lets its place go")
