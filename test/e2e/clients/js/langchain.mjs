// langchain.mjs -- npm's @langchain/ollama.
import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOllama, Ollama, OllamaEmbeddings } from '@langchain/ollama';
import { z } from 'zod';
import { babbler, cancels, client, endless, fails, hello, ok, rome, same, speaker, url } from './suite.mjs';

const feature = client('@langchain/ollama');
const chat = (more) => new ChatOllama({ baseUrl: url, model: babbler, temperature: 0, numPredict: 12, maxRetries: 0, ...more });
const taught = (more) => chat({ model: speaker, numPredict: 200, ...more });
const weather = tool(async ({ city }) => (city === 'Rome' ? 'rain' : 'sun'), { name: 'weather', description: 'The weather', schema: z.object({ city: z.enum(['Rome', 'Oslo']) }) });

await feature('chat', async () => {
    const reply = await chat().invoke('Tell me of a fox.');
    ok(reply.content.length > 0, 'a text');
    same(reply.usage_metadata.output_tokens, 12, 'usage');
    same(reply.usage_metadata.total_tokens, reply.usage_metadata.input_tokens + 12, 'and of all');
    same(reply.response_metadata.done_reason, 'length', 'its end');
    same((await taught().invoke([new HumanMessage('hello')])).content, hello, 'a reply that ends by itself');
    let heard = '';
    for await (const piece of await chat().stream('Tell me of a fox.')) heard += piece.content;
    same(heard, reply.content, 'streamed it is the same');
    same((await taught().batch(['hello', 'hello', 'hello'])).map((m) => m.content), [hello, hello, hello], 'a batch');
    ok((await chat().invoke([new SystemMessage('Be brief.'), new HumanMessage('x'), new AIMessage('y'), new HumanMessage('z')])).content, 'a conversation');
    same((await taught().invoke('hello', { stop: ['the'] })).content, 'Hello ', 'stop');
    await fails(chat({ model: 'missing' }).invoke('x'), 404, /not found/, 'no such model');
});

await feature('tools', async () => {
    const bound = taught().bindTools([weather]);
    const reply = await bound.invoke('weather');
    same(reply.tool_calls.map((c) => [c.name, c.args]), [['weather', rome]], 'a call');
    const result = await weather.invoke(reply.tool_calls[0]);
    ok(result instanceof ToolMessage, 'its result');
    same((await bound.invoke([new HumanMessage('weather'), reply, result])).content, 'It rains.', 'is read');
    let whole;
    for await (const piece of await bound.stream('weather')) whole = whole ? whole.concat(piece) : piece;
    same(whole.tool_calls.map((c) => c.args), [rome], 'streamed');
});

await feature('structured output', async () => {
    const Animal = z.object({ animal: z.enum(['fox', 'owl']), age: z.number().int().min(1).max(9) });
    for (const method of ['jsonSchema', undefined]) {
        const made = await chat({ numPredict: 200 }).withStructuredOutput(Animal, { method, name: 'animal' }).invoke('x');
        ok(Animal.safeParse(made).success, `withStructuredOutput ${method}`);
    }
    ok(JSON.parse((await chat({ numPredict: 200, format: z.toJSONSchema(Animal) }).invoke('x')).content).age, 'format');
});

await feature('embeddings and texts', async () => {
    const embeddings = new OllamaEmbeddings({ baseUrl: url, model: babbler, maxRetries: 0 });
    const two = await embeddings.embedDocuments(['A fox.', 'An owl.']);
    same([two.length, two[0].length === two[1].length], [2, true], 'a vector a text');
    same(await embeddings.embedQuery('A fox.'), two[0], 'the same alone');
    const text = await new Ollama({ baseUrl: url, model: speaker, temperature: 0 }).invoke('hello');
    same(text, hello, 'generate');
});

await feature('thinking and abort', async () => {
    const reply = await taught({ think: true }).invoke('ponder');
    same([reply.additional_kwargs.reasoning_content, reply.content], ['I see.', 'Yes.'], 'thoughts beside the content');
    await cancels(async () => {
        const controller = new AbortController();
        try {
            for await (const piece of await chat({ numPredict: 3000, format: endless }).stream('x', { signal: controller.signal })) if (piece) controller.abort();
        } catch (error) {
            ok(/abort/i.test(`${error.name} ${error.message}`), 'an abort');
        }
    }, 'the server lets its place go');
});
