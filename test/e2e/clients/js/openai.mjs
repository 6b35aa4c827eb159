// openai.mjs -- npm's openai: models, chats, completions, embeddings.
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { another, babbler, cancels, client, endless, fails, fox, hello, key, keyedUrl, ok, rome, same, says, speaker, url } from './suite.mjs';

const feature = client('openai (npm)', 'openai');
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const model = babbler;
const chat = (more) => openai.chat.completions.create({ model, messages: fox, max_tokens: 12, seed: 7, ...more });
const say = (words, more) => openai.chat.completions.create({ model: speaker, messages: says(words), temperature: 0, ...more });
const all = async (stream) => {
    const pieces = [];
    for await (const piece of await stream) pieces.push(piece);
    return pieces;
};
const content = (chunks) => chunks.map((c) => c.choices[0]?.delta.content ?? '').join('');
const Weather = z.object({ city: z.enum(['Rome', 'Oslo']) });
const weather = { type: 'function', function: { name: 'weather', description: 'The weather', parameters: { type: 'object', properties: { city: { type: 'string', enum: ['Rome', 'Oslo'] } }, required: ['city'], additionalProperties: false } } };
const time = { type: 'function', function: { name: 'time', parameters: { type: 'object', properties: { zone: { type: 'string', maxLength: 9 } }, required: ['zone'] } } };
const tools = [weather, time];
const calls = (message) => (message.tool_calls ?? []).map((c) => [c.type, c.function.name, JSON.parse(c.function.arguments)]);

await feature('models', async () => {
    const ids = (await all(openai.models.list())).map((m) => m.id);
    ok(ids.some((id) => id.startsWith(model)), 'listed');
    const one = await openai.models.retrieve(model);
    same(one.object, 'model', 'object');
    ok(one.created > 1e9 && typeof one.owned_by === 'string', 'created, owned_by');
    await fails(openai.models.retrieve('missing'), 404, /missing/, 'what is not there');
});

await feature('chat', async () => {
    const reply = await chat();
    same([reply.object, reply.model], ['chat.completion', model], 'object and model');
    ok(reply.id.startsWith('chatcmpl-') && reply.created > 1e9, 'id and time');
    const choice = reply.choices[0];
    same([choice.index, choice.message.role, choice.finish_reason], [0, 'assistant', 'length'], 'its choice');
    ok(choice.message.content.length > 0, 'content');
    same(choice.message.refusal, null, 'refusal');
    same(reply.usage.completion_tokens, 12, 'tokens of the reply');
    same(reply.usage.total_tokens, reply.usage.prompt_tokens + 12, 'and of all');
    ok(reply.usage.prompt_tokens_details.cached_tokens >= 0, 'cached tokens');
    const whole = (await say('hello')).choices[0];
    same([whole.message.content, whole.finish_reason], [hello, 'stop'], 'a reply that ends by itself');
    const parts = await say([{ type: 'text', text: 'hel' }, { type: 'text', text: 'lo' }]);
    same(parts.choices[0].message.content, hello, 'content in parts');
    ok((await chat({ messages: [{ role: 'developer', content: 'Be brief.' }, ...fox] })).usage.prompt_tokens > reply.usage.prompt_tokens, 'a developer');
});

await feature('chat, streamed', async () => {
    const whole = (await chat()).choices[0].message.content;
    const chunks = await all(chat({ stream: true, stream_options: { include_usage: true } }));
    same(content(chunks), whole, 'the same text');
    same(chunks[0].choices[0].delta.role, 'assistant', 'the role first');
    same(new Set(chunks.map((c) => `${c.id} ${c.created} ${c.object}`)).size, 1, 'one id, one time, one object');
    const ends = chunks.filter((c) => c.choices[0]?.finish_reason);
    same([ends.length, ends[0].choices[0].finish_reason, ends[0].choices[0].delta], [1, 'length', {}], 'one end');
    same([chunks.at(-1).choices, chunks.at(-1).usage.completion_tokens], [[], 12], 'usage last');
    ok((await all(chat({ stream: true }))).every((c) => c.usage == null), 'no usage unless asked for');
    const helper = openai.chat.completions.stream({ model, messages: fox, max_tokens: 12, seed: 7 });
    let heard = '';
    helper.on('content', (delta) => (heard += delta));
    const final = await helper.finalChatCompletion();
    same([heard, final.choices[0].message.content, final.choices[0].finish_reason], [whole, whole, 'length'], 'the helper');
});

await feature('options', async () => {
    const text = async (more) => (await chat(more)).choices[0].message.content;
    same(await text({ temperature: 2 }), await text({ temperature: 2 }), 'one seed, one text');
    ok((await text({ temperature: 2 })) !== (await text({ temperature: 2, seed: 8 })), 'another seed, another text');
    same((await chat({ max_tokens: undefined, max_completion_tokens: 3 })).usage.completion_tokens, 3, 'max_completion_tokens');
    const many = await chat({ n: 3, temperature: 2 });
    same(many.choices.map((c) => c.index), [0, 1, 2], 'n');
    same(new Set(many.choices.map((c) => c.message.content)).size, 3, 'three texts');
    ok(many.usage.completion_tokens > 12 && many.usage.completion_tokens <= 36, 'all counted');
    const stopped = (await say('hello', { stop: ['the', 'x'] })).choices[0];
    same([stopped.message.content, stopped.finish_reason], ['Hello ', 'stop'], 'stop');
    same((await say('hello', { stop: 'there' })).choices[0].message.content, 'Hello ', 'stop as one text');
    const chunks = await all(chat({ n: 2, stream: true, temperature: 2 }));
    same(new Set(chunks.map((c) => c.choices[0]?.index)).size, 2, 'n, streamed');
    ok((await text({ presence_penalty: 1, frequency_penalty: 1, top_p: 0.5 })).length, 'penalties and top_p');
    ok((await text({ typical_p: 0.3, min_p: 0.1, top_k: 20, repeat_penalty: 1.1 })).length, 'what others have too');
    ok((await text({ user: 'me', store: false, metadata: {}, service_tier: 'auto' })).length, 'what says nothing here');
});

await feature('logprobs', async () => {
    const reply = (await chat({ logprobs: true, top_logprobs: 4 })).choices[0];
    same(reply.logprobs.content.length, 12, 'one a token');
    same(reply.logprobs.content.map((l) => l.token).join(''), reply.message.content, 'the tokens are the text');
    ok(reply.logprobs.content.every((l) => l.logprob <= 0 && l.top_logprobs.length === 4 && Array.isArray(l.bytes)), 'with the most likely');
    ok((await chat({ logprobs: true })).choices[0].logprobs.content.every((l) => l.top_logprobs.length === 0), 'an empty list without');
    const chunks = await all(chat({ logprobs: true, top_logprobs: 1, stream: true }));
    same(chunks.flatMap((c) => c.choices[0]?.logprobs?.content ?? []).length, 12, 'streamed');
    same((await chat()).choices[0].logprobs, null, 'none');
    await fails(chat({ logprobs: true, top_logprobs: 21 }), 400, /between 0 and 20/, 'too many');
    await fails(chat({ top_logprobs: 2 }), 400, /logprobs/, 'top_logprobs alone');
    ok((await chat({ logit_bias: { 5: -100, 6: 3.5 } })).choices.length, 'logit_bias');
    await fails(chat({ logit_bias: { fox: 1 } }), 400, /logit_bias/, 'a bias of no id');
});

await feature('structured outputs', async () => {
    const Animal = z.object({ animal: z.enum(['fox', 'owl']), age: z.number().int().min(1).max(9), tame: z.boolean(), food: z.array(z.string().max(5)).max(2) });
    const parsed = await openai.chat.completions.parse({ model, messages: fox, seed: 3, temperature: 1.5, response_format: zodResponseFormat(Animal, 'animal') });
    ok(Animal.safeParse(parsed.choices[0].message.parsed).success, 'parse');
    const helper = openai.chat.completions.stream({ model, messages: fox, seed: 4, response_format: zodResponseFormat(Animal, 'animal') });
    ok(Animal.safeParse((await helper.finalChatCompletion()).choices[0].message.parsed).success, 'streamed');
    const Tree = z.object({ name: z.enum(['a', 'b']), get children() { return z.array(Tree).max(1); } });
    const tree = await openai.chat.completions.create({ model, messages: fox, seed: 1, max_tokens: 300, response_format: { type: 'json_schema', json_schema: { name: 'tree', strict: true, schema: z.toJSONSchema(Tree) } } });
    ok(tree.choices[0].finish_reason === 'length' || Tree.safeParse(JSON.parse(tree.choices[0].message.content)).success, 'a schema that holds itself');
    const any = (await chat({ response_format: { type: 'json_object' }, max_tokens: 60 })).choices[0];
    ok(any.finish_reason === 'length' ? /^\s*{/.test(any.message.content) : JSON.parse(any.message.content), 'json_object');
    same((await chat({ grammar: 'root ::= "fox" | "owl"', temperature: 2 })).choices[0].finish_reason, 'stop', 'a grammar');
    ok((await chat({ response_format: { type: 'text' } })).choices.length, 'text');
    await fails(chat({ response_format: { type: 'xml' } }), 400, /response_format/, 'another type');
    await fails(chat({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { not: {} } } } }), 400, /not/, 'what cannot be enforced');
});

await feature('tools', async () => {
    const reply = (await say('weather', { tools })).choices[0];
    same([calls(reply.message), reply.finish_reason, reply.message.content], [[['function', 'weather', rome]], 'tool_calls', null], 'auto');
    const spoken = (await say('hello', { tools })).choices[0];
    same([spoken.message.content, spoken.message.tool_calls, spoken.finish_reason], [hello, undefined, 'stop'], 'auto, and no call');
    const both = (await say('both', { tools })).choices[0].message;
    same(calls(both).map((c) => c[1]), ['weather', 'time'], 'two calls');
    ok(both.tool_calls[0].id !== both.tool_calls[1].id, 'with ids of their own');
    same(calls((await say('both', { tools, parallel_tool_calls: false })).choices[0].message).length, 1, 'one at most');
    ok(/tool_call/.test((await say('weather', { tools, tool_choice: 'none' })).choices[0].message.content), 'none: it is text');
    for (const seed of [1, 2]) {
        const must = (await chat({ tools, tool_choice: 'required', seed, temperature: 2, max_tokens: 200 })).choices[0];
        ok(['weather', 'time'].includes(must.message.tool_calls[0].function.name), 'required, of any model');
        same(must.finish_reason, 'tool_calls', 'its end');
    }
    const named = (await chat({ tools, tool_choice: { type: 'function', function: { name: 'weather' } }, temperature: 2, max_tokens: 200 })).choices[0].message;
    ok(Weather.safeParse(JSON.parse(named.tool_calls[0].function.arguments)).success, 'one that is named');
    const after = [...says('weather'), reply.message, { role: 'tool', tool_call_id: reply.message.tool_calls[0].id, content: 'rain' }];
    same((await say('', { messages: after, tools })).choices[0].message.content, 'It rains.', 'its result is read');
    const plain = await chat({ messages: after }), told = await chat({ messages: after, tools });
    ok(told.usage.prompt_tokens > plain.usage.prompt_tokens + 20, 'a template that has none is told in words');
    await fails(chat({ tools: [{ type: 'function', function: {} }] }), 400, /name/, 'a tool with no name');
    await fails(chat({ tool_choice: 'required' }), 400, /no tools/, 'required, and there are none');
    await fails(chat({ tools, tool_choice: { type: 'function', function: { name: 'x' } } }), 400, /'x'/, 'one that is none');
});

await feature('tools, streamed', async () => {
    const chunks = await all(say('both', { tools, stream: true }));
    const deltas = chunks.flatMap((c) => c.choices[0]?.delta.tool_calls ?? []);
    same(deltas.map((d) => [d.index, d.type, d.function.name]), [[0, 'function', 'weather'], [1, 'function', 'time']], 'two calls');
    same(content(chunks), '', 'no text');
    same(chunks.at(-1).choices[0].finish_reason, 'tool_calls', 'their end');
    const helper = openai.chat.completions.stream({ model, messages: fox, tools, tool_choice: 'required', max_tokens: 200, seed: 1 });
    ok((await helper.finalChatCompletion()).choices[0].message.tool_calls.length === 1, 'the helper');
    const runner = openai.chat.completions.runTools({ model: speaker, messages: says('weather'), temperature: 0, tools: [{ type: 'function', function: { name: 'weather', description: 'x', parameters: weather.function.parameters, parse: JSON.parse, function: ({ city }) => (city === 'Rome' ? 'rain' : 'sun') } }] });
    same(await runner.finalContent(), 'It rains.', 'a loop of the client');
    const parsed = await openai.chat.completions.parse({ model: speaker, messages: says('weather'), temperature: 0, tools: [zodFunction({ name: 'weather', parameters: Weather })] });
    same(parsed.choices[0].message.tool_calls[0].function.parsed_arguments, rome, 'parsed by a schema');
});

await feature('reasoning', async () => {
    const whole = await say('ponder'), { message } = whole.choices[0];
    const thought = (reply) => reply.usage.completion_tokens_details.reasoning_tokens;
    ok(thought(whole) > 0 && thought(whole) < whole.usage.completion_tokens, 'its tokens are counted, those of the reply too');
    same([message.reasoning_content, message.content], ['I see.', 'Yes.'], 'beside the content');
    const chunks = await all(say('ponder', { stream: true }));
    same(chunks.map((c) => c.choices[0]?.delta.reasoning_content ?? '').join(''), 'I see.', 'streamed');
    same(content(chunks), 'Yes.', 'and the content');
    const none = (await say('ponder', { reasoning_effort: 'none' })).choices[0].message;
    same([none.reasoning_content, none.content], [undefined, 'Yes.'], 'effort none');
    const off = (await say('ponder', { chat_template_kwargs: { enable_thinking: false } })).choices[0].message;
    same([off.reasoning_content, off.content], [undefined, 'Yes.'], 'told in the words of the template');
    const without = await say('hello');
    same([without.choices[0].message.reasoning_content, thought(without)], [undefined, 0], 'a reply without');
});

await feature('completions', async () => {
    const one = await openai.completions.create({ model, prompt: 'A fox', max_tokens: 8, temperature: 0 });
    same([one.object, one.choices[0].finish_reason, one.usage.completion_tokens], ['text_completion', 'length', 8], 'a text goes on');
    const chunks = await all(openai.completions.create({ model, prompt: 'A fox', max_tokens: 8, temperature: 0, stream: true }));
    same(chunks.map((c) => c.choices[0].text).join(''), one.choices[0].text, 'streamed');
    const echo = await openai.completions.create({ model, prompt: 'A fox', max_tokens: 4, temperature: 0, echo: true, logprobs: 2 });
    ok(echo.choices[0].text.startsWith('A fox'), 'echo');
    const { tokens, token_logprobs, top_logprobs, text_offset } = echo.choices[0].logprobs;
    ok(tokens.length === token_logprobs.length && tokens.length === top_logprobs.length && tokens.length === text_offset.length, 'logprobs of all');
    same(token_logprobs[0], null, 'but the first');
    const prompt = await openai.completions.create({ model, prompt: 'A fox eats mice.', max_tokens: 0, echo: true, logprobs: 1 });
    same(prompt.choices[0].text, 'A fox eats mice.', 'the prompt alone');
    const list = await openai.completions.create({ model, prompt: ['A fox', 'An owl'], max_tokens: 3, n: 2, temperature: 1, seed: 1 });
    same(list.choices.map((c) => c.index), [0, 1, 2, 3], 'two prompts, two texts each');
    same((await openai.completions.create({ model, prompt: [1, 5, 6], max_tokens: 3 })).usage.prompt_tokens, 3, 'ids');
    same((await openai.completions.create({ model, prompt: 'x' })).usage.completion_tokens <= 16, true, 'sixteen tokens unless told');
    await fails(openai.completions.create({ model, prompt: 'x', suffix: 'y' }), 400, /suffix/, 'suffix');
    await fails(openai.completions.create({ model, prompt: { x: 1 } }), 400, /prompt/, 'no prompt');
});

await feature('embeddings', async () => {
    const floats = await openai.embeddings.create({ model, input: 'A fox.', encoding_format: 'float' });
    const usual = await openai.embeddings.create({ model, input: 'A fox.' });
    ok(floats.data[0].embedding.length > 8 && floats.data[0].embedding.some((x) => x !== 0), 'floats');
    same(usual.data[0].embedding.map((x) => x.toFixed(6)), floats.data[0].embedding.map((x) => x.toFixed(6)), 'base64, which it asks for');
    const two = await openai.embeddings.create({ model, input: ['A fox.', 'An owl.'] });
    same(two.data.map((d) => [d.object, d.index]), [['embedding', 0], ['embedding', 1]], 'a list');
    same(two.usage.prompt_tokens, two.usage.total_tokens, 'usage');
    same((await openai.embeddings.create({ model, input: 'A fox.', dimensions: 16 })).data[0].embedding.length, 16, 'dimensions');
    same((await openai.embeddings.create({ model, input: [1, 2, 3] })).usage.prompt_tokens, 3, 'ids');
    same((await openai.embeddings.create({ model, input: [[1, 2], [3]] })).data.length, 2, 'lists of ids');
    await fails(openai.embeddings.create({ model: 'missing', input: 'x' }), 404, /not found/, 'no such model');
});

await feature('errors', async () => {
    await fails(chat({ model: 'missing' }), 404, /model 'missing' not found/, 'no such model');
    await fails(chat({ model: 'missing', stream: true }), 404, /not found/, 'streamed');
    await fails(chat({ messages: [] }), 400, /messages/, 'no messages');
    await fails(chat({ temperature: -1 }), 400, /temperature/, 'a number out of bounds');
    await fails(chat({ n: 0 }), 400, /n must/, 'n 0');
    await fails(chat({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] }), 400, /text/, 'a picture');
    await fails(chat({ messages: says('fox '.repeat(6000)) }), 400, /context/, 'too long');
    try {
        await chat({ model: 'missing' });
    } catch (error) {
        ok(error instanceof OpenAI.NotFoundError, 'the class of 404');
        same([error.type, error.code, error.param], ['not_found_error', null, null], 'type, code, param');
    }
    try {
        await chat({ n: 0 });
    } catch (error) {
        ok(error instanceof OpenAI.BadRequestError, 'the class of 400');
        same(error.type, 'invalid_request_error', 'its type');
    }
});

await feature('keys', async () => {
    const keyed = (apiKey) => new OpenAI({ baseURL: `${keyedUrl}/v1`, apiKey, maxRetries: 0 });
    await fails(keyed('wrong').models.list(), 401, /key/, 'a wrong one');
    ok((await keyed(key).models.list()).data.length > 0, 'the right one');
    try {
        await keyed('wrong').models.list();
    } catch (error) {
        ok(error instanceof OpenAI.AuthenticationError, 'the class of 401');
    }
});

await feature('abort', async () => {
    const long = { max_tokens: 3000, response_format: { type: 'json_schema', json_schema: { name: 'x', schema: endless } } };
    await cancels(async () => {
        for await (const chunk of await chat({ ...long, stream: true })) if (chunk.choices[0].delta.content) break;
    }, 'a stream that is left');
    await cancels(async () => {
        const controller = new AbortController();
        const begun = await another();
        begun().then(() => controller.abort());
        try {
            await openai.chat.completions.create({ model, messages: fox, n: 16, ...long }, { signal: controller.signal });
            ok(false, 'it ends');
        } catch (error) {
            ok(error instanceof OpenAI.APIUserAbortError, 'APIUserAbortError');
        }
    }, 'a reply that is left');
});
