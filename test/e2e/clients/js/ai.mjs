// ai.mjs -- npm's ai, with @ai-sdk/openai (chats, responses, completions) and ollama-ai-provider-v2.
import { createOpenAI } from '@ai-sdk/openai';
import { embed, embedMany, generateObject, generateText, jsonSchema, stepCountIs, streamObject, streamText, tool } from 'ai';
import { createOllama } from 'ollama-ai-provider-v2';
import { z } from 'zod';
import { babbler, cancels, client, endless, fails, hello, key, keyedUrl, ok, rome, same, says, speaker, url, version } from './suite.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false; // it says what Ollama's provider does not send
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const ollama = createOllama({ baseURL: `${url}/api` });
const Animal = z.object({ animal: z.enum(['fox', 'owl']), age: z.number().int().min(1).max(9) });
const weather = tool({ description: 'The weather', inputSchema: z.object({ city: z.enum(['Rome', 'Oslo']) }), execute: async ({ city }) => (city === 'Rome' ? 'rain' : 'sun') });
const fox = { prompt: 'Tell me of a fox.', maxOutputTokens: 12, temperature: 0, maxRetries: 0 };
const zero = { temperature: 0, maxRetries: 0 };

// What holds of every provider's models. must: it knows toolChoice; called: its end of a reply with calls.
async function texts(feature, name, model, must, called) {
    await feature(`${name}: text`, async () => {
        const cut = await generateText({ model: model(babbler), ...fox });
        ok(cut.text.length > 0, 'a text');
        same([cut.finishReason, cut.usage.outputTokens], ['length', 12], 'cut short');
        ok(cut.usage.inputTokens > 3 && cut.usage.totalTokens === cut.usage.inputTokens + 12, 'usage');
        const whole = await generateText({ model: model(speaker), prompt: 'hello', ...zero });
        same([whole.text, whole.finishReason], [hello, 'stop'], 'a reply that ends by itself');
        const streamed = streamText({ model: model(babbler), ...fox });
        let heard = '';
        for await (const part of streamed.textStream) heard += part;
        same(heard, cut.text, 'streamed it is the same');
        same([await streamed.finishReason, (await streamed.usage).outputTokens], ['length', 12], 'its end');
        ok((await generateText({ model: model(babbler), ...fox, system: 'Be brief.' })).usage.inputTokens > cut.usage.inputTokens, 'system');
        await fails(generateText({ model: model('missing'), ...fox }), 404, /not found|Not Found/, 'no such model');
    });
    await feature(`${name}: objects`, async () => {
        const made = await generateObject({ model: model(babbler), prompt: 'x', schema: Animal, maxRetries: 0 });
        ok(Animal.safeParse(made.object).success, 'generateObject');
        const streamed = streamObject({ model: model(babbler), prompt: 'x', schema: Animal, maxRetries: 0 });
        for await (const part of streamed.partialObjectStream) ok(typeof part === 'object', 'a part');
        ok(Animal.safeParse(await streamed.object).success, 'streamObject');
    });
    await feature(`${name}: tools`, async () => {
        const tools = { weather };
        const one = await generateText({ model: model(speaker), prompt: 'weather', tools, ...zero });
        same([one.finishReason, one.toolCalls.map((c) => c.input), one.toolResults.map((r) => r.output)], [called, [rome], ['rain']], 'a call');
        const loop = await generateText({ model: model(speaker), prompt: 'weather', tools, stopWhen: stepCountIs(3), ...zero });
        same([loop.text, loop.steps.length], ['It rains.', 2], 'a loop');
        const streamed = streamText({ model: model(speaker), prompt: 'weather', tools, ...zero });
        same([(await streamed.toolCalls).map((c) => c.input), await streamed.finishReason], [[rome], called], 'streamed');
        if (!must) return;
        for (const toolChoice of ['required', { type: 'tool', toolName: 'weather' }]) {
            const forced = await generateText({ model: model(babbler), prompt: 'x', tools, toolChoice, maxRetries: 0 });
            ok(['Rome', 'Oslo'].includes(forced.toolCalls[0].input.city), `toolChoice ${toolChoice.type ?? toolChoice}`);
        }
        same((await generateText({ model: model(speaker), prompt: 'weather', tools, toolChoice: 'none', ...zero })).toolCalls, [], 'toolChoice none');
    });
}

async function vectors(feature, name, model) {
    await feature(`${name}: embeddings`, async () => {
        const one = await embed({ model: model(babbler), value: 'A fox.', maxRetries: 0 });
        const two = await embedMany({ model: model(babbler), values: ['A fox.', 'An owl.'], maxRetries: 0 });
        same(two.embeddings.length, 2, 'a vector a text');
        same(two.embeddings[0], one.embedding, 'the same alone and in a list');
        ok(one.usage.tokens > 2, 'usage');
    });
}

const withOpenai = client('ai + @ai-sdk/openai', '@ai-sdk/openai');
await texts(withOpenai, 'chat', openai.chat, true, 'tool-calls');
await texts(withOpenai, 'responses', openai, true, 'tool-calls');
await vectors(withOpenai, 'openai', openai.embedding ?? openai.textEmbeddingModel);
await withOpenai('completion: text', async () => {
    const made = await generateText({ model: openai.completion(babbler), ...fox });
    same([made.finishReason, made.usage.outputTokens], ['length', 12], 'a text goes on');
});
await withOpenai('chat: logprobs', async () => {
    const made = await generateText({ model: openai.chat(babbler), ...fox, providerOptions: { openai: { logprobs: 2 } } });
    const { logprobs } = made.providerMetadata.openai;
    same([logprobs.length, logprobs[0].top_logprobs.length], [12, 2], 'logprobs with the most likely');
    const plain = await generateText({ model: openai.chat(babbler), ...fox, providerOptions: { openai: { logprobs: true } } });
    same(plain.providerMetadata.openai.logprobs.length, 12, 'and without');
});
await withOpenai('responses: reasoning', async () => {
    const made = await generateText({ model: openai(speaker), prompt: 'ponder', ...zero });
    same(made.text, 'Yes.', 'what is said');
    const streamed = streamText({ model: openai(speaker), prompt: 'ponder', ...zero });
    same(await streamed.text, 'Yes.', 'streamed');
});
await withOpenai('keys and abort', async () => {
    const keyed = (apiKey) => createOpenAI({ baseURL: `${keyedUrl}/v1`, apiKey }).chat(babbler);
    await fails(generateText({ model: keyed('wrong'), ...fox }), 401, /key/, 'a wrong key');
    ok((await generateText({ model: keyed(key), ...fox })).text, 'the right one');
    await cancels(async () => {
        const controller = new AbortController();
        const streamed = streamObject({ model: openai.chat(babbler), prompt: 'x', maxOutputTokens: 3000, schema: jsonSchema({ type: 'object', properties: { numbers: endless }, required: ['numbers'] }), maxRetries: 0, abortSignal: controller.signal, onError: () => {} });
        streamed.object.catch(() => {});
        try {
            for await (const part of streamed.textStream) if (part) controller.abort();
        } catch (error) {
            same(error.name, 'AbortError', 'AbortError');
        }
    }, 'an abort');
});

const withOllama = client('ai + ollama-ai-provider-v2', 'ollama-ai-provider-v2');
await texts(withOllama, 'ollama', ollama, false, version('ollama-ai-provider-v2') < '3' ? 'stop' : 'tool-calls');
await vectors(withOllama, 'ollama', ollama.embedding ?? ollama.textEmbeddingModel);
await withOllama('ollama: reasoning', async () => {
    const made = await generateText({ model: ollama(speaker), prompt: 'ponder', ...zero, providerOptions: { ollama: { think: true } } });
    same([made.reasoningText, made.text], ['I see.', 'Yes.'], 'beside the text');
    const streamed = streamText({ model: ollama(speaker), messages: says('ponder'), ...zero, providerOptions: { ollama: { think: true } } });
    same([await streamed.reasoningText, await streamed.text], ['I see.', 'Yes.'], 'streamed');
});
