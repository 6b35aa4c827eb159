// anthropic.mjs -- npm's @anthropic-ai/sdk.
import Anthropic from '@anthropic-ai/sdk';
import { another, babbler, cancels, client, endless, fails, fox, hello, key, keyedUrl, ok, rome, same, says, speaker, url } from './suite.mjs';

const feature = client('@anthropic-ai/sdk');
const anthropic = new Anthropic({ baseURL: url, apiKey: 'none', maxRetries: 0 });
const model = babbler;
const ask = (more) => anthropic.messages.create({ model, messages: fox, max_tokens: 12, temperature: 0, ...more });
const say = (words, more) => ask({ model: speaker, messages: says(words), max_tokens: 200, ...more });
const tools = [{ name: 'weather', description: 'The weather', input_schema: { type: 'object', properties: { city: { type: 'string', enum: ['Rome', 'Oslo'] } }, required: ['city'] } }];

await feature('messages', async () => {
    const reply = await ask();
    same([reply.type, reply.role, reply.model, reply.stop_reason], ['message', 'assistant', model, 'max_tokens'], 'cut short');
    same(reply.usage.output_tokens, 12, 'its tokens');
    ok(reply.id.startsWith('msg_') && reply.usage.input_tokens + reply.usage.cache_read_input_tokens > 3, 'id and usage');
    const whole = await say('hello');
    same([whole.content, whole.stop_reason, whole.stop_sequence], [[{ type: 'text', text: hello }], 'end_turn', null], 'a reply that ends by itself');
    const stopped = await say('hello', { stop_sequences: ['the'] });
    same([stopped.content[0].text, stopped.stop_reason, stopped.stop_sequence], ['Hello ', 'stop_sequence', 'the'], 'a stop sequence');
    const system = await anthropic.messages.countTokens({ model, messages: fox, system: 'Be careful.' });
    ok(system.input_tokens > (await anthropic.messages.countTokens({ model, messages: fox })).input_tokens, 'tokens are counted');
    same((await say('', { messages: [...says('hello'), { role: 'assistant', content: 'Hello' }] })).content[0].text, ' there.', 'a reply that goes on');
    same((await say('', { messages: [{ role: 'user', content: [{ type: 'text', text: 'hello' }] }] })).content[0].text, hello, 'blocks');
});

await feature('messages, streamed', async () => {
    const stream = anthropic.messages.stream({ model: speaker, messages: says('hello'), max_tokens: 50, temperature: 0 });
    let heard = '';
    const types = new Set();
    stream.on('text', (text) => (heard += text));
    stream.on('streamEvent', (event) => types.add(event.type));
    const final = await stream.finalMessage();
    same([heard, final.content[0].text, final.stop_reason], [hello, hello, 'end_turn'], 'the helper');
    same([...types], ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop'], 'the events');
    ok(final.usage.output_tokens > 2, 'usage');
});

await feature('tools', async () => {
    const reply = await say('weather', { tools });
    const call = reply.content[0];
    same([call.type, call.name, call.input, reply.stop_reason], ['tool_use', 'weather', rome, 'tool_use'], 'auto');
    const after = [...says('weather'), { role: 'assistant', content: reply.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'rain' }] }];
    same((await say('', { messages: after, tools })).content[0].text, 'It rains.', 'its result is read');
    for (const tool_choice of [{ type: 'any' }, { type: 'tool', name: 'weather' }])
        ok(['Rome', 'Oslo'].includes((await ask({ tools, tool_choice, max_tokens: 200 })).content[0].input.city), `${tool_choice.type}, of any model`);
    same((await say('weather', { tools, tool_choice: { type: 'none' } })).stop_reason, 'end_turn', 'none');
    const final = await anthropic.messages.stream({ model: speaker, messages: says('weather'), max_tokens: 200, temperature: 0, tools }).finalMessage();
    same([final.content[0].input, final.stop_reason], [rome, 'tool_use'], 'streamed');
});

await feature('thinking', async () => {
    const thinking = { type: 'enabled', budget_tokens: 1024 };
    const reply = await say('ponder', { thinking, max_tokens: 2000 });
    same(reply.content.map((b) => b.thinking ?? b.text), ['I see.', 'Yes.'], 'a block before the text');
    same((await say('ponder', { thinking: { type: 'disabled' } })).content.map((b) => b.type), ['text'], 'disabled');
    const final = await anthropic.messages.stream({ model: speaker, messages: says('ponder'), max_tokens: 2000, temperature: 0, thinking }).finalMessage();
    same(final.content.map((b) => b.thinking ?? b.text), ['I see.', 'Yes.'], 'streamed');
});

await feature('errors and keys', async () => {
    await fails(ask({ model: 'missing' }), 404, /not found/, 'no such model');
    await fails(ask({ max_tokens: undefined }), 400, /max_tokens/, 'no max_tokens');
    await fails(ask({ messages: [] }), 400, /messages/, 'no messages');
    try {
        await ask({ model: 'missing' });
    } catch (error) {
        ok(error instanceof Anthropic.NotFoundError, 'the class of 404');
        same(error.error.error.type, 'not_found_error', 'its type');
    }
    await fails(new Anthropic({ baseURL: keyedUrl, apiKey: 'wrong', maxRetries: 0 }).messages.create({ model, messages: fox, max_tokens: 3 }), 401, /key/, 'a wrong key');
    ok((await new Anthropic({ baseURL: keyedUrl, apiKey: key, maxRetries: 0 }).messages.create({ model, messages: fox, max_tokens: 3 })).content, 'the right one');
});

await feature('abort', async () => {
    await cancels(async () => {
        const tool = { name: 'list', input_schema: { type: 'object', properties: { numbers: endless }, required: ['numbers'] } };
        const begun = await another();
        const stream = anthropic.messages.stream({ model, messages: fox, max_tokens: 3000, tools: [tool], tool_choice: { type: 'any' } });
        begun().then(() => stream.abort());
        try {
            await stream.finalMessage();
            ok(false, 'it ends');
        } catch (error) {
            ok(error instanceof Anthropic.APIUserAbortError, 'APIUserAbortError');
        }
    }, 'the server lets its place go');
});
