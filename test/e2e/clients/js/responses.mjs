// responses.mjs -- npm's openai: responses.
import OpenAI from 'openai';
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { babbler, client, fails, hello, ok, rome, same, speaker, url } from './suite.mjs';

const feature = client('openai (npm)', 'openai');
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const model = babbler;
const respond = (more) => openai.responses.create({ model, input: 'Tell me of a fox.', max_output_tokens: 12, temperature: 0, ...more });
const say = (input, more) => openai.responses.create({ model: speaker, input, temperature: 0, ...more });
const all = async (stream) => {
    const pieces = [];
    for await (const piece of await stream) pieces.push(piece);
    return pieces;
};
const Weather = z.object({ city: z.enum(['Rome', 'Oslo']) });
const tool = zodResponsesFunction({ name: 'weather', parameters: Weather });

await feature('responses', async () => {
    const whole = await say('hello');
    same([whole.object, whole.status, whole.output_text], ['response', 'completed', hello], 'a text');
    same([whole.error, whole.incomplete_details, whole.previous_response_id], [null, null, null], 'nothing else');
    same([whole.output[0].type, whole.output[0].role, whole.output[0].content[0].type], ['message', 'assistant', 'output_text'], 'its item');
    ok(whole.id.startsWith('resp_') && whole.created_at > 1e9, 'id and time');
    const cut = await respond();
    same([cut.status, cut.incomplete_details.reason], ['incomplete', 'max_output_tokens'], 'cut short');
    same(cut.usage.output_tokens, 12, 'its tokens');
    same(cut.usage.total_tokens, cut.usage.input_tokens + 12, 'and all');
    same((await say([{ role: 'user', content: [{ type: 'input_text', text: 'hello' }] }])).output_text, hello, 'items');
    ok((await respond({ instructions: 'Be brief.' })).usage.input_tokens > cut.usage.input_tokens, 'instructions');
    await fails(respond({ previous_response_id: 'resp_1' }), 400, /previous_response_id/, 'nothing is kept');
    await fails(respond({ model: 'missing' }), 404, /not found/, 'no such model');
    await fails(respond({ tools: [{ type: 'web_search' }] }), 400, /tool/, 'a tool that only others have');
});

await feature('responses, streamed', async () => {
    const events = await all(say('hello', { stream: true }));
    const types = [...new Set(events.map((e) => e.type))];
    same(types, ['response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added', 'response.output_text.delta', 'response.output_text.done', 'response.content_part.done', 'response.output_item.done', 'response.completed'], 'the events');
    same(events.map((e) => e.sequence_number), events.map((_, i) => i), 'numbered');
    same(events.filter((e) => e.type === 'response.output_text.delta').map((e) => e.delta).join(''), hello, 'the text');
    same(events.at(-1).response.output[0].content[0].text, hello, 'and again as a whole');
    const helper = openai.responses.stream({ model: speaker, input: 'hello', temperature: 0 });
    same((await helper.finalResponse()).output_text, hello, 'the helper');
    same((await all(respond({ stream: true }))).at(-1).type, 'response.incomplete', 'cut short');
});

await feature('responses: forms', async () => {
    const Animal = z.object({ animal: z.enum(['fox', 'owl']), age: z.number().int().min(1).max(9) });
    const parsed = await openai.responses.parse({ model, input: 'x', temperature: 1.5, text: { format: zodTextFormat(Animal, 'animal') } });
    ok(Animal.safeParse(parsed.output_parsed).success, 'parse');
    const helper = openai.responses.stream({ model, input: 'x', text: { format: zodTextFormat(Animal, 'animal') } });
    ok(Animal.safeParse((await helper.finalResponse()).output_parsed).success, 'streamed');
    const reply = await respond({ top_logprobs: 2, include: ['message.output_text.logprobs'] });
    const { logprobs } = reply.output[0].content[0];
    same([logprobs?.length, logprobs?.[0].top_logprobs.length], [12, 2], 'logprobs');
    same(logprobs?.map((l) => l.token).join(''), reply.output_text, 'the tokens are the text');
    const events = await all(respond({ stream: true, include: ['message.output_text.logprobs'] }));
    same(events.filter((e) => e.type === 'response.output_text.delta').flatMap((e) => e.logprobs).length, 12, 'streamed');
    same((await respond()).output[0].content[0].logprobs, [], 'none');
});

await feature('responses: tools', async () => {
    const reply = await openai.responses.parse({ model: speaker, input: 'weather', temperature: 0, tools: [tool] });
    const call = reply.output[0];
    same([call.type, call.name, call.parsed_arguments, reply.output.length], ['function_call', 'weather', rome, 1], 'auto');
    const result = [{ role: 'user', content: 'weather' }, { ...call, parsed_arguments: undefined }, { type: 'function_call_output', call_id: call.call_id, output: 'rain' }];
    same((await say(result, { tools: [tool] })).output_text, 'It rains.', 'its result is read');
    const must = await respond({ tools: [tool], tool_choice: 'required', max_output_tokens: 200 });
    ok(Weather.safeParse(JSON.parse(must.output[0].arguments)).success, 'required, of any model');
    const named = await respond({ tools: [tool], tool_choice: { type: 'function', name: 'weather' }, max_output_tokens: 200 });
    same(named.output[0].name, 'weather', 'one that is named');
    const events = await all(say('weather', { tools: [tool], stream: true }));
    const done = events.find((e) => e.type === 'response.function_call_arguments.done');
    same(JSON.parse(done.arguments), rome, 'streamed');
    same(events.filter((e) => e.type === 'response.function_call_arguments.delta').map((e) => e.delta).join(''), done.arguments, 'its pieces');
});

await feature('responses: reasoning', async () => {
    const reply = await say('ponder');
    same(reply.output.map((i) => i.type), ['reasoning', 'message'], 'an item before the message');
    same(reply.output[0].content?.[0], { type: 'reasoning_text', text: 'I see.' }, 'its text');
    same(reply.output_text, 'Yes.', 'and what is said');
    const thought = reply.usage.output_tokens_details.reasoning_tokens;
    ok(thought > 0 && thought < reply.usage.output_tokens, 'its tokens are counted');
    const none = await say('ponder', { reasoning: { effort: 'none' } });
    same(none.output.map((i) => i.type), ['message'], 'effort none');
    const events = await all(say('ponder', { stream: true }));
    same(events.filter((e) => e.type === 'response.reasoning_text.delta').map((e) => e.delta).join(''), 'I see.', 'streamed');
    ok((await openai.responses.stream({ model: speaker, input: 'ponder', temperature: 0 }).finalResponse()).output_text === 'Yes.', 'the helper');
});
