// ollama.mjs -- npm's ollama.
import { Ollama } from 'ollama';
import { babbler, cancels, client, comes, endless, fails, fox, hello, keyedUrl, key, ok, rome, same, says, speaker, url } from './suite.mjs';

const feature = client('ollama (npm)', 'ollama');
const ollama = new Ollama({ host: url });
const model = babbler;
const options = { seed: 7, num_predict: 20 };
const weather = {
    type: 'function',
    function: { name: 'weather', description: 'The weather', parameters: { type: 'object', properties: { city: { type: 'string', enum: ['Rome', 'Oslo'] } }, required: ['city'] } },
};
const time = {
    type: 'function',
    function: { name: 'time', description: 'The time', parameters: { type: 'object', properties: { zone: { type: 'string' } }, required: ['zone'] } },
};
const all = async (stream) => {
    const pieces = [];
    for await (const piece of await stream) pieces.push(piece);
    return pieces;
};
const text = (pieces) => pieces.map((p) => p.message.content).join('');
const names = async () => (await ollama.list()).models.map((m) => m.name);
const running = async () => (await ollama.ps()).models.map((m) => m.name);

await feature('list and show', async () => {
    const one = (await ollama.list()).models.find((m) => m.name === `${model}:latest`);
    ok(one, 'the model is listed');
    same(one.model, one.name, 'model and name');
    ok(one.size > 1e6, 'its size');
    ok(/^[0-9a-f]{64}$/.test(one.digest), 'its digest');
    ok(Number.isFinite(Date.parse(one.modified_at)), 'its date');
    same(one.details.format, 'gguf', 'its format');
    ok(one.details.parameter_size && one.details.quantization_level && one.details.family, 'its details');
    const shown = await ollama.show({ model });
    ok(shown.modelfile.includes('FROM'), 'its Modelfile');
    ok(shown.template.length > 0, 'its template');
    ok(shown.model_info['general.architecture'], 'its metadata');
    ok(shown.capabilities.includes('completion'), 'it completes');
    ok(shown.capabilities.includes('tools'), 'it takes tools');
    same(shown.capabilities.includes('thinking'), false, 'it does not think');
    ok((await ollama.show({ model: speaker })).capabilities.includes('thinking'), 'the other thinks');
    await fails(ollama.show({ model: 'missing' }), 404, /model 'missing' not found/, 'what is not there');
});

await feature('chat', async () => {
    const reply = await ollama.chat({ model, messages: fox, options });
    same(reply.model, model, 'model');
    same(reply.message.role, 'assistant', 'role');
    ok(reply.message.content.length > 0, 'content');
    same([reply.done, reply.done_reason], [true, 'length'], 'its end');
    same(reply.eval_count, 20, 'tokens of the reply');
    ok(reply.prompt_eval_count > 3, 'tokens of the prompt');
    for (const name of ['total_duration', 'load_duration', 'prompt_eval_duration', 'eval_duration'])
        ok(Number.isInteger(reply[name]) && reply[name] > 0, name);
    ok(Math.abs(Date.parse(reply.created_at) - Date.now()) < 60e3, 'its time');
    const whole = await ollama.chat({ model: speaker, messages: says('hello'), options: { temperature: 0 } });
    same([whole.message.content, whole.done_reason], [hello, 'stop'], 'a reply that ends by itself');
});

await feature('chat, streamed', async () => {
    const whole = await ollama.chat({ model, messages: fox, options });
    const pieces = await all(ollama.chat({ model, messages: fox, options, stream: true }));
    ok(pieces.length > 5, 'several pieces');
    same(text(pieces), whole.message.content, 'the same text');
    same(pieces.filter((p) => p.done).length, 1, 'one end');
    same(pieces.at(-1).done, true, 'which is the last');
    same(pieces.at(-1).eval_count, 20, 'counts at the end');
    ok(pieces.slice(0, -1).every((p) => p.eval_count === undefined), 'and nowhere else');
    ok(pieces.every((p) => p.model === model && p.message.role === 'assistant'), 'all are whole objects');
});

await feature('generate', async () => {
    const prompt = 'Tell me of a fox.';
    const reply = await ollama.generate({ model, prompt, options });
    ok(reply.response.length > 0, 'response');
    same([reply.done, reply.done_reason, reply.eval_count], [true, 'length', 20], 'its end');
    ok(Array.isArray(reply.context), 'context');
    const pieces = await all(ollama.generate({ model, prompt, options, stream: true }));
    same(pieces.map((p) => p.response).join(''), reply.response, 'streamed it is the same');
    same((await ollama.chat({ model, messages: says(prompt), options })).message.content, reply.response, 'so it is as a chat');
    const raw = await ollama.generate({ model, prompt, options, raw: true });
    ok(raw.prompt_eval_count < reply.prompt_eval_count, 'raw: no template');
    const other = await ollama.generate({ model, prompt, options, system: 'Be careful.' });
    ok(other.prompt_eval_count > reply.prompt_eval_count, 'system: a longer prompt');
    const plain = await ollama.generate({ model, prompt, options, template: '{% for m in messages %}{{ m.content }}{% endfor %}' });
    ok(plain.prompt_eval_count < reply.prompt_eval_count, 'template: one of the request');
    await fails(ollama.generate({ model, prompt, raw: true, system: 'x' }), 400, /raw mode/, 'raw and system');
    await fails(ollama.generate({ model, prompt, images: ['AAAA'] }), 400, /images/, 'images');
    await fails(ollama.generate({ model, prompt, suffix: 'end' }), 400, /does not support insert/, 'suffix');
});

await feature('options', async () => {
    const chat = async (o, m = model) => (await ollama.chat({ model: m, messages: fox, options: { num_predict: 12, ...o } })).message.content;
    same(await chat({ seed: 3, temperature: 2 }), await chat({ seed: 3, temperature: 2 }), 'one seed, one text');
    ok((await chat({ seed: 3, temperature: 2 })) !== (await chat({ seed: 4, temperature: 2 })), 'another seed, another text');
    same(await chat({ top_k: 1, seed: 5, temperature: 2 }), await chat({ temperature: 0 }), 'top_k 1 is greedy');
    same(await chat({ top_p: 0, seed: 5, temperature: 2 }), await chat({ temperature: 0 }), 'top_p 0 too');
    same(await chat({ min_p: 1, seed: 5, temperature: 2 }), await chat({ temperature: 0 }), 'min_p 1 too');
    ok((await chat({ typical_p: 0.2, seed: 5, temperature: 1 })) !== undefined, 'typical_p is taken');
    same(await chat({ temperature: 0, mirostat: 0, numa: false, low_vram: true, num_thread: 2, num_batch: 64 }), await chat({ temperature: 0 }), 'what others know is let pass');
    same((await ollama.chat({ model, messages: fox, options: { num_predict: 3 } })).eval_count, 3, 'num_predict');
    const cut = await ollama.chat({ model: speaker, messages: says('hello'), options: { temperature: 0, stop: ['the'] } });
    same([cut.message.content, cut.done_reason], ['Hello ', 'stop'], 'stop');
    ok((await chat({ temperature: 0, repeat_penalty: 1.5, repeat_last_n: 64, presence_penalty: 1, frequency_penalty: 1 })).length > 0, 'penalties');
    await fails(chat({ num_ctx: 'many' }), 400, /option "num_ctx" must be of type integer/, 'a wrong type');
});

await feature('format', async () => {
    const schema = { type: 'object', properties: { animal: { type: 'string', enum: ['fox', 'owl'] }, age: { type: 'integer', minimum: 1, maximum: 9 } }, required: ['animal', 'age'] };
    for (const seed of [1, 2, 3]) {
        const made = JSON.parse((await ollama.chat({ model, messages: fox, format: schema, options: { seed, temperature: 2 } })).message.content);
        ok(['fox', 'owl'].includes(made.animal) && made.age >= 1 && made.age <= 9, `a schema, seed ${seed}`);
    }
    const pieces = await all(ollama.chat({ model, messages: fox, format: schema, stream: true }));
    ok(JSON.parse(text(pieces)).animal, 'a schema, streamed');
    const any = await ollama.generate({ model, prompt: 'x', format: 'json', options: { num_predict: 40, seed: 1 } });
    ok(any.done_reason === 'length' || JSON.parse(any.response), 'json');
    await fails(ollama.chat({ model, messages: fox, format: 'yaml' }), 400, /invalid format/, 'another word');
    await fails(ollama.chat({ model, messages: fox, format: { type: 'object', not: {} } }), 400, /not/, 'a keyword that cannot be enforced');
});

await feature('tools', async () => {
    const tools = [weather, time], zero = { temperature: 0 };
    const reply = await ollama.chat({ model: speaker, messages: says('weather'), tools, options: zero });
    same(reply.message.tool_calls.map((c) => c.function), [{ index: 0, name: 'weather', arguments: rome }], 'a call');
    ok(/^call_[a-z0-9]{8}$/.test(reply.message.tool_calls[0].id), 'its id');
    same([reply.message.content, reply.done_reason], ['', 'stop'], 'and nothing else');
    const pieces = await all(ollama.chat({ model: speaker, messages: says('weather'), tools, options: zero, stream: true }));
    same(pieces.flatMap((p) => p.message.tool_calls ?? []).map((c) => c.function.arguments), [rome], 'streamed');
    same(text(pieces), '', 'no text of it');
    const both = (await ollama.chat({ model: speaker, messages: says('both'), tools, options: zero })).message.tool_calls;
    same(both.map((c) => [c.function.index, c.function.name]), [[0, 'weather'], [1, 'time']], 'two calls');
    ok(both[0].id !== both[1].id, 'with ids of their own');
    const none = (await ollama.chat({ model: speaker, messages: says('hello'), tools, options: zero })).message;
    same([none.content, none.tool_calls], [hello, undefined], 'no call');
    const after = [...says('weather'), reply.message, { role: 'tool', tool_name: 'weather', content: 'rain' }];
    same((await ollama.chat({ model: speaker, messages: after, tools, options: zero })).message.content, 'It rains.', 'its result is read');
    const must = await ollama.chat({ model, messages: fox, tools, tool_choice: 'required', options: { seed: 2, num_predict: 200 } });
    ok(['weather', 'time'].includes(must.message.tool_calls[0].function.name), 'a call that must be, of any model');
    const any = await ollama.chat({ model, messages: fox, tools, options });
    ok(any.done, 'tools with a template that has none');
});

await feature('think', async () => {
    const ask = (more) => ollama.chat({ model: speaker, messages: says('ponder'), options: { temperature: 0 }, ...more });
    for (const think of [true, undefined, 'high']) {
        const { message } = await ask({ think });
        same([message.thinking, message.content], ['I see.', 'Yes.'], `think ${think}`);
    }
    const not = (await ask({ think: false })).message;
    same([not.thinking, not.content], [undefined, 'Yes.'], 'think false');
    const pieces = await all(ask({ think: true, stream: true }));
    same(pieces.map((p) => p.message.thinking ?? '').join(''), 'I see.', 'streamed thoughts');
    same(text(pieces), 'Yes.', 'and what is said');
    ok(pieces.findIndex((p) => p.message.content) > pieces.findLastIndex?.((p) => p.message.thinking) || !pieces.findLastIndex, 'in this order');
    const made = await ollama.generate({ model: speaker, prompt: 'ponder', think: true, options: { temperature: 0 } });
    same([made.thinking, made.response], ['I see.', 'Yes.'], 'generate');
    await fails(ollama.chat({ model, messages: fox, think: true }), 400, /"nursery" does not support thinking/, 'a model that does not think');
    same((await ollama.chat({ model, messages: fox, think: false, options })).eval_count, 20, 'and is told not to');
    await fails(ask({ think: 'deep' }), 400, /think/, 'another word');
});

await feature('logprobs', async () => {
    const reply = await ollama.chat({ model, messages: fox, options, logprobs: true, top_logprobs: 3 });
    same(reply.logprobs.length, 20, 'one a token');
    same(reply.logprobs.map((l) => l.token).join(''), reply.message.content, 'the tokens are the text');
    ok(reply.logprobs.every((l) => l.logprob <= 0 && l.top_logprobs.length === 3 && Array.isArray(l.bytes)), 'with the most likely');
    const lean = await ollama.chat({ model, messages: fox, options, logprobs: true });
    ok(lean.logprobs.every((l) => l.top_logprobs === undefined), 'without them');
    const made = await ollama.generate({ model, prompt: 'A fox', options, logprobs: true, top_logprobs: 1 });
    same(made.logprobs.length, 20, 'generate');
    const pieces = await all(ollama.chat({ model, messages: fox, options, stream: true, logprobs: true }));
    same(pieces.flatMap((p) => p.logprobs ?? []).length, 20, 'streamed');
    await fails(ollama.chat({ model, messages: fox, logprobs: true, top_logprobs: 21 }), 400, /between 0 and 20/, 'too many');
});

await feature('embed', async () => {
    const one = await ollama.embed({ model, input: 'A fox.' }), two = await ollama.embed({ model, input: ['A fox.', 'An owl.'] });
    same(two.embeddings.length, 2, 'a vector a text');
    same(two.embeddings[0], one.embeddings[0], 'the same alone and in a list');
    const length = (v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
    ok(Math.abs(length(one.embeddings[0]) - 1) < 1e-4, 'of length 1');
    ok(one.total_duration > 0 && one.load_duration > 0 && one.prompt_eval_count > 0, 'durations and counts');
    const short = await ollama.embed({ model, input: 'A fox.', dimensions: 16 });
    same(short.embeddings[0].length, 16, 'dimensions');
    ok(Math.abs(length(short.embeddings[0]) - 1) < 1e-4, 'of length 1 again');
    same((await ollama.embed({ model, input: '' })).embeddings, [], 'nothing');
    const old = await ollama.embeddings({ model, prompt: 'A fox.' });
    same(old.embedding.length, one.embeddings[0].length, 'the older route');
    await fails(ollama.embed({ model, input: 5 }), 400, /invalid input/, 'a number');
    await fails(ollama.embed({ model: 'missing', input: 'x' }), 404, /not found/, 'no such model');
});

await feature('keep_alive and ps', async () => {
    const load = await ollama.chat({ model, messages: [], keep_alive: '20m' });
    same([load.done, load.done_reason], [true, 'load'], 'loaded');
    const one = (await ollama.ps()).models.find((m) => m.name === `${model}:latest`);
    ok(one.size > 0 && one.context_length > 0 && /^[0-9a-f]{64}$/.test(one.digest), 'ps');
    const minutes = (Date.parse(one.expires_at) - Date.now()) / 60e3;
    ok(minutes > 18 && minutes < 21, 'it stays for twenty minutes');
    const unload = await ollama.generate({ model, prompt: '', keep_alive: 0 });
    same(unload.done_reason, 'unload', 'unloaded');
    await comes(async () => !(await running()).includes(`${model}:latest`), 'it is gone');
    await ollama.chat({ model, messages: fox, options, keep_alive: 0 });
    await comes(async () => !(await running()).includes(`${model}:latest`), 'gone after its reply');
    await fails(ollama.chat({ model, messages: fox, keep_alive: 'soon' }), 400, /keep_alive/, 'no duration');
});

await feature('copy and delete', async () => {
    same((await ollama.copy({ source: speaker, destination: 'twin' })).status, 'success', 'copied');
    ok((await names()).includes('twin:latest'), 'listed');
    same((await ollama.chat({ model: 'twin', messages: says('hello'), options: { temperature: 0 } })).message.content, hello, 'it answers');
    same((await ollama.delete({ model: 'twin' })).status, 'success', 'deleted');
    ok(!(await names()).includes('twin:latest'), 'and gone');
    await fails(ollama.delete({ model: 'twin' }), 404, /not found/, 'twice');
    await fails(ollama.copy({ source: 'missing', destination: 'twin' }), 404, /not found/, 'nothing to copy');
});

await feature('create', async () => {
    const steps = await all(ollama.create({ model: 'polite', from: speaker, system: 'Be polite.', parameters: { temperature: 0 }, stream: true }));
    same(steps.at(-1).status, 'success', 'created');
    const shown = await ollama.show({ model: 'polite' });
    same(shown.system, 'Be polite.', 'its system');
    ok(shown.parameters.includes('temperature'), 'its parameters');
    same((await ollama.create({ model: 'polite', from: speaker })).status, 'success', 'again, not streamed');
    await ollama.delete({ model: 'polite' });
    await fails(ollama.create({ model: 'polite' }), 400, /from/, 'of nothing');
});

await feature('errors', async () => {
    await fails(ollama.chat({ model: 'missing', messages: fox }), 404, /model 'missing' not found/, 'chat');
    await fails(ollama.chat({ model: 'missing', messages: fox, stream: true }), 404, /not found/, 'streamed');
    await fails(ollama.generate({ model: 'missing', prompt: 'x' }), 404, /not found/, 'generate');
    await fails(ollama.chat({ model: '', messages: fox }), 400, /model is required/, 'no model');
    await fails(ollama.chat({ model: '../../etc/passwd', messages: fox }), 404, /not found/, 'a path');
    await fails(ollama.chat({ model, messages: [{ content: 'x' }] }), 400, /role/, 'no role');
    await fails(ollama.chat({ model, messages: 'x' }), 400, /messages/, 'no list');
    await fails(ollama.chat({ model, messages: [{ ...fox[0], images: ['AAAA'] }] }), 400, /images/, 'images');
    await fails(ollama.chat({ model, messages: fox, tools: [{ type: 'function' }] }), 400, /name/, 'a tool with no name');
    const long = says('fox '.repeat(6000));
    await fails(ollama.chat({ model, messages: long, truncate: false }), 400, /context/, 'too long, and nothing may go');
});

await feature('keys', async () => {
    await fails(new Ollama({ host: keyedUrl }).list(), 401, /key/, 'none');
    await fails(new Ollama({ host: keyedUrl, headers: { Authorization: 'Bearer wrong' } }).list(), 401, /key/, 'a wrong one');
    ok((await new Ollama({ host: keyedUrl, headers: { Authorization: `Bearer ${key}` } }).list()).models.length > 0, 'the right one');
});

await feature('abort', async () => {
    await cancels(async () => {
        const stream = await ollama.chat({ model, messages: fox, stream: true, format: endless });
        let n = 0;
        try {
            for await (const piece of stream) if (piece && ++n === 2) stream.abort();
            ok(false, 'it goes on');
        } catch (error) {
            same(error.name, 'AbortError', 'AbortError');
        }
    }, 'the server lets its place go');
});
