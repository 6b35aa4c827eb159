"""main.py -- the clients of PyPI, one after the other, against the server at AERIE_URL."""

import with_ollama  # noqa: F401  (each runs when it is imported)
import with_openai  # noqa: F401
