"""One point behind the OpenAI chat-completions protocol.

    client ─► app ─► guard, ask ─► encode ─► turns ───────────► writing ─► chunks ─► client
              the event loop       a thread  the model thread   there too  the event loop

The model thread gives each request a step in turn; nothing that a client does or leaves undone
makes it wait.
"""
