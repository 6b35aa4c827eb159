// main.mjs -- the clients of npm, one after the other, against the server at AERIE_URL.
for (const name of ['ollama', 'openai', 'responses', 'anthropic', 'ai', 'langchain', 'pings'])
    await import(`./${name}.mjs`);
