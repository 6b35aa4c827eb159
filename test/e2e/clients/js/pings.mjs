// pings.mjs -- every client of server-sent events, with comments between the events, as the server sends them
// when a reply is long in coming.
import Anthropic from '@anthropic-ai/sdk';
import { createOpenAI } from '@ai-sdk/openai';
import { streamText } from 'ai';
import http from 'node:http';
import OpenAI from 'openai';
import { client, hello, same, says, speaker, url } from './suite.mjs';

// Hands requests on, and puts a ping before every event of the reply.
const between = http.createServer((request, reply) => {
    const asked = http.request(`${url}${request.url}`, { method: request.method, headers: request.headers }, (answer) => {
        reply.writeHead(answer.statusCode, { 'content-type': answer.headers['content-type'] });
        let rest = '';
        answer.setEncoding('utf8').on('data', (text) => {
            const events = (rest + text).split('\n\n');
            rest = events.pop();
            for (const event of events) reply.write(`: ping\n\n${event}\n\n`);
        });
        answer.on('end', () => reply.end(rest));
    });
    request.pipe(asked);
});
await new Promise((resolve) => between.listen(0, '127.0.0.1', resolve));
const pinged = `http://127.0.0.1:${between.address().port}`;

await client('openai (npm)', 'openai')('pings', async () => {
    const openai = new OpenAI({ baseURL: `${pinged}/v1`, apiKey: 'none', maxRetries: 0 });
    const chat = openai.chat.completions.stream({ model: speaker, messages: says('hello'), temperature: 0 });
    same((await chat.finalChatCompletion()).choices[0].message.content, hello, 'chats');
    const response = openai.responses.stream({ model: speaker, input: 'hello', temperature: 0 });
    same((await response.finalResponse()).output_text, hello, 'responses');
    let text = '';
    for await (const part of await openai.completions.create({ model: speaker, prompt: 'hello', max_tokens: 4, temperature: 0, stream: true }))
        text += part.choices[0].text;
    same(text.length > 0, true, 'completions');
});
await client('@anthropic-ai/sdk')('pings', async () => {
    const anthropic = new Anthropic({ baseURL: pinged, apiKey: 'none', maxRetries: 0 });
    const final = await anthropic.messages.stream({ model: speaker, messages: says('hello'), max_tokens: 50, temperature: 0 }).finalMessage();
    same(final.content[0].text, hello, 'messages');
});
await client('ai + @ai-sdk/openai', '@ai-sdk/openai')('pings', async () => {
    const openai = createOpenAI({ baseURL: `${pinged}/v1`, apiKey: 'none' });
    for (const [name, model] of [['chats', openai.chat(speaker)], ['responses', openai(speaker)]])
        same(await streamText({ model, prompt: 'hello', temperature: 0, maxRetries: 0 }).text, hello, name);
});
between.close();
between.closeAllConnections();
