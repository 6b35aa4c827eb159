// suite.mjs -- counts checks by client and feature, and prints a row a feature:
// client, version, feature, checks, failed, why (of the first that failed), with tabs between.
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

export const url = process.env.AERIE_URL;
export const keyedUrl = process.env.AERIE_KEYED_URL;
export const key = process.env.AERIE_KEY;

// The models that are served: one that babbles, and one that was taught a few replies to the letter.
export const babbler = 'nursery';
export const speaker = 'speaker';
export const fox = [{ role: 'user', content: 'Tell me of a fox.' }];
export const says = (content) => [{ role: 'user', content }];
// A reply that nothing ends but its length.
export const endless = { type: 'array', items: { type: 'integer' }, minItems: 900 };
// What the speaker says.
export const hello = 'Hello there.';
export const rome = { city: 'Rome' };

let failed, checks, why;

function count(good, what) {
    checks++;
    if (good) return;
    failed++;
    why ??= what;
}

const brief = (value) => {
    const text = value instanceof Error ? String(value) : JSON.stringify(value);
    return String(text).replace(/\s+/g, ' ').slice(0, 300);
};

export const ok = (value, what) => count(value, `${what}: ${brief(value)}`);
export const same = (value, wanted, what) =>
    count(isDeepStrictEqual(value, wanted), `${what}: ${brief(value)} is not ${brief(wanted)}`);

// The promise fails, with an error of this status that says this.
export async function fails(promise, status, words, what) {
    try {
        const value = await promise;
        count(false, `${what}: it did not fail: ${brief(value)}`);
    } catch (error) {
        const got = error.status ?? error.status_code ?? error.statusCode ?? error.cause?.status_code;
        count(got === status, `${what}: status ${got}, not ${status}: ${brief(error)}`);
        count(words.test(`${error.message} ${error.responseBody ?? ''}`), `${what}: no ${words} in ${brief(error)}`);
    }
}

// Whether it becomes true, looked at again and again for ten seconds.
export async function comes(condition, what) {
    for (let i = 0; i < 200; i++) {
        if (await condition()) return count(true, what);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    count(false, `${what}: not within ten seconds`);
}

// A number of /metrics, summed over its labels.
async function metric(name) {
    const text = await (await fetch(`${url}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(name));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
}

// What `leave` does makes the server cancel a request, and none stays behind.
export async function cancels(leave, what) {
    const before = await metric('aerie_requests_cancelled_total');
    await leave();
    await comes(async () => (await metric('aerie_requests_cancelled_total')) > before && (await metric('aerie_requests_running')) === 0, what);
}

// What it gives resolves when the server has begun one more request: a reply may be over in a tenth of a second.
export async function another() {
    const before = await metric('aerie_requests_total');
    return async () => {
        for (const end = Date.now() + 10000; Date.now() < end; ) if ((await metric('aerie_requests_total')) > before) return;
    };
}

export const version = (name) =>
    JSON.parse(readFileSync(new URL(`${name}/package.json`, new URL('file://' + process.env.CLIENTS_MODULES + '/')))).version;

export const client = (name, packaged = name) => async (feature, body) => {
    failed = checks = 0;
    why = undefined;
    try {
        await body();
    } catch (error) {
        count(false, brief(error.stack?.includes('suite.mjs') ? error : `${error} ${error.cause ?? ''}`));
    }
    console.log([name, version(packaged), feature, checks, failed, why ?? ''].join('\t'));
};
