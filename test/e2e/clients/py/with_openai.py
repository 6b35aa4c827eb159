"""with_openai.py -- PyPI's openai."""

import asyncio
import http.server
import json
import threading
import urllib.request
from typing import List, Literal

import openai
from pydantic import BaseModel, Field

from suite import BABBLER, FOX, HELLO, KEY, KEYED_URL, ROME, SPEAKER, URL, cancels, client, fails, ok, same, says

feature = client("openai (PyPI)", "openai")
server = openai.OpenAI(base_url=URL + "/v1", api_key="none", max_retries=0)


class Animal(BaseModel):
    animal: Literal["fox", "owl"]
    age: int = Field(ge=1, le=9)
    food: List[Literal["mice", "figs"]] = Field(max_length=2)


class Weather(BaseModel):
    city: Literal["Rome", "Oslo"]


tools = [openai.pydantic_function_tool(Weather, name="weather", description="The weather")]


def chat(**more):
    return server.chat.completions.create(**{"model": BABBLER, "messages": FOX, "max_tokens": 12, "seed": 7, **more})


def say(words, **more):
    return server.chat.completions.create(**{"model": SPEAKER, "messages": says(words), "temperature": 0, **more})


def content(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@feature
def models():
    ok(any(m.id.startswith(BABBLER) for m in server.models.list()), "listed")
    same(server.models.retrieve(BABBLER).object, "model", "one")
    fails(lambda: server.models.retrieve("missing"), openai.NotFoundError, 404, "missing", "what is not there")


@feature
def chat_completions():
    reply = chat()
    choice = reply.choices[0]
    same((reply.object, choice.index, choice.message.role, choice.finish_reason), ("chat.completion", 0, "assistant", "length"), "a reply")
    same((reply.usage.completion_tokens, reply.usage.total_tokens), (12, reply.usage.prompt_tokens + 12), "usage")
    same(say("hello").choices[0].message.content, HELLO, "a reply that ends by itself")
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    same(content(chunks), choice.message.content, "streamed it is the same")
    same((chunks[-1].choices, chunks[-1].usage.completion_tokens), ([], 12), "usage last")
    with server.chat.completions.stream(model=SPEAKER, messages=says("hello"), temperature=0) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    ok({"chunk", "content.delta", "content.done"} <= kinds, f"the helper's events")
    same(final.choices[0].message.content, HELLO, "the helper")


@feature
def options():
    text = lambda **more: chat(**more).choices[0].message.content
    same(text(temperature=2), text(temperature=2), "one seed, one text")
    ok(text(temperature=2) != text(temperature=2, seed=8), "another seed, another text")
    same(len({c.message.content for c in chat(n=3, temperature=2).choices}), 3, "n")
    same(say("hello", stop=["the"]).choices[0].message.content, "Hello ", "stop")
    same(chat(max_tokens=None, max_completion_tokens=3).usage.completion_tokens, 3, "max_completion_tokens")
    same(text(temperature=2, extra_body={"top_k": 1}), text(temperature=0), "top_k, as others have it")


@feature
def log_probabilities():
    choice = chat(logprobs=True, top_logprobs=3).choices[0]
    same("".join(t.token for t in choice.logprobs.content), choice.message.content, "the tokens are the text")
    same({len(t.top_logprobs) for t in choice.logprobs.content}, {3}, "with the most likely")
    chunks = list(chat(logprobs=True, stream=True))
    same(sum(len(c.choices[0].logprobs.content) for c in chunks if c.choices and c.choices[0].logprobs), 12, "streamed")


@feature
def structured_outputs():
    made = server.chat.completions.parse(model=BABBLER, messages=FOX, seed=3, temperature=1.5, response_format=Animal)
    ok(isinstance(made.choices[0].message.parsed, Animal), "parse")
    with server.chat.completions.stream(model=BABBLER, messages=FOX, seed=4, response_format=Animal) as stream:
        ok(isinstance(stream.get_final_completion().choices[0].message.parsed, Animal), "streamed")
    made = server.responses.parse(model=BABBLER, input="x", text_format=Animal)
    ok(isinstance(made.output_parsed, Animal), "responses")
    any_json = chat(response_format={"type": "json_object"}, max_tokens=80).choices[0]
    ok(any_json.finish_reason == "length" or json.loads(any_json.message.content) is not None, "json_object")


@feature
def tool_calls():
    choice = say("weather", tools=tools).choices[0]
    call = choice.message.tool_calls[0]
    same((call.function.name, json.loads(call.function.arguments), choice.finish_reason), ("weather", ROME, "tool_calls"), "auto")
    after = [*says("weather"), choice.message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    same(say("", messages=after, tools=tools).choices[0].message.content, "It rains.", "its result is read")
    for choice in ("required", {"type": "function", "function": {"name": "weather"}}):
        forced = chat(tools=tools, tool_choice=choice, temperature=2, max_tokens=200).choices[0].message
        ok(Weather.model_validate_json(forced.tool_calls[0].function.arguments), f"{choice}, of any model")
    same(say("weather", tools=tools, tool_choice="none").choices[0].message.tool_calls, None, "none")
    parsed = server.chat.completions.parse(model=SPEAKER, messages=says("weather"), temperature=0, tools=tools)
    ok(isinstance(parsed.choices[0].message.tool_calls[0].function.parsed_arguments, Weather), "parsed by a class")
    with server.chat.completions.stream(model=SPEAKER, messages=says("weather"), temperature=0, tools=tools) as stream:
        same(len(stream.get_final_completion().choices[0].message.tool_calls), 1, "streamed")


@feature
def completions():
    made = server.completions.create(model=BABBLER, prompt="A fox", max_tokens=4, temperature=0, echo=True, logprobs=2)
    ok(made.choices[0].text.startswith("A fox"), "echo")
    same(len(made.choices[0].logprobs.tokens), len(made.choices[0].logprobs.token_logprobs), "logprobs")
    same(len(server.completions.create(model=BABBLER, prompt=["a", "b"], max_tokens=2).choices), 2, "two prompts")


@feature
def embeddings():
    usual = server.embeddings.create(model=BABBLER, input=["A fox.", "An owl."])
    floats = server.embeddings.create(model=BABBLER, input="A fox.", encoding_format="float")
    same(len(usual.data), 2, "a vector a text")
    ok(max(abs(a - b) for a, b in zip(usual.data[0].embedding, floats.data[0].embedding)) < 1e-6, "base64, which it asks for")
    same(len(server.embeddings.create(model=BABBLER, input="x", dimensions=16).data[0].embedding), 16, "dimensions")


@feature
def responses():
    made = server.responses.create(model=SPEAKER, input="hello", temperature=0)
    same((made.output_text, made.status), (HELLO, "completed"), "a text")
    events = list(server.responses.create(model=SPEAKER, input="hello", temperature=0, stream=True))
    same("".join(e.delta for e in events if e.type == "response.output_text.delta"), HELLO, "streamed")
    same(events[-1].type, "response.completed", "its end")
    with server.responses.stream(model=SPEAKER, input="weather", temperature=0, tools=[openai.pydantic_function_tool(Weather, name="weather")["function"] | {"type": "function"}]) as stream:
        final = stream.get_final_response()
    same((final.output[0].type, json.loads(final.output[0].arguments)), ("function_call", ROME), "a call")
    cut = server.responses.create(model=BABBLER, input="x", max_output_tokens=5, top_logprobs=1, include=["message.output_text.logprobs"])
    same((cut.status, cut.usage.output_tokens, len(cut.output[0].content[0].logprobs)), ("incomplete", 5, 5), "cut short, with logprobs")


@feature
def reasoning():
    message = say("ponder").choices[0].message
    same((message.reasoning_content, message.content), ("I see.", "Yes."), "beside the content")
    message = say("ponder", reasoning_effort="none").choices[0].message
    same((getattr(message, "reasoning_content", None), message.content), (None, "Yes."), "effort none")
    made = server.responses.create(model=SPEAKER, input="ponder", temperature=0)
    same([i.type for i in made.output], ["reasoning", "message"], "responses")


@feature
def errors_and_keys():
    fails(lambda: chat(model="missing"), openai.NotFoundError, 404, "not found", "no such model")
    fails(lambda: chat(n=0), openai.BadRequestError, 400, "n must", "n 0")
    fails(lambda: chat(messages=says("fox " * 6000)), openai.BadRequestError, 400, "context", "too long")
    keyed = lambda key: openai.OpenAI(base_url=KEYED_URL + "/v1", api_key=key, max_retries=0)
    fails(lambda: keyed("wrong").models.list(), openai.AuthenticationError, 401, "key", "a wrong key")
    ok(keyed(KEY).models.list().data, "the right one")


@feature
def asynchronous():
    async def several():
        one = openai.AsyncOpenAI(base_url=URL + "/v1", api_key="none", max_retries=0)
        asks = [one.chat.completions.create(model=SPEAKER, messages=says("hello"), temperature=0) for _ in range(8)]
        return [r.choices[0].message.content for r in await asyncio.gather(*asks)]

    same(asyncio.run(several()), [HELLO] * 8, "eight at once")


class Between(http.server.BaseHTTPRequestHandler):
    """Hands requests on, and puts a ping before every event of the reply."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with urllib.request.urlopen(urllib.request.Request(URL + self.path, body)) as answer:
            self.send_response(200)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            for event in answer.read().split(b"\n\n"):
                self.wfile.write(b": ping\n\n" + event + b"\n\n")

    def log_message(self, *_):
        pass


@feature
def pings():
    between = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between)
    threading.Thread(target=between.serve_forever, daemon=True).start()
    pinged = openai.OpenAI(base_url=f"http://127.0.0.1:{between.server_port}/v1", api_key="none", max_retries=0)
    chunks = list(pinged.chat.completions.create(model=SPEAKER, messages=says("hello"), temperature=0, stream=True))
    same(content(chunks), HELLO, "chats")
    with pinged.responses.stream(model=SPEAKER, input="hello", temperature=0) as stream:
        same(stream.get_final_response().output_text, HELLO, "responses")
    between.shutdown()


@feature
def abort():
    def leave():
        stream = chat(stream=True, max_tokens=3000, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array", "items": {"type": "integer"}, "minItems": 900}}})
        next(stream)
        stream.close()

    cancels(leave, "the server lets its place go")
