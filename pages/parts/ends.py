"""The end of a fragment's run, told to the browser as it was.

    recipe: elements, "finished" ──► queue of the session ──► browser
    header:                            "started", elements, "finished"

A run that starts may throw away what still waits in the queue, so Streamlit 1.67 then tells of
every end that waits there as of a run cut short, and after such a one the browser takes nothing
off the page. It does so where nothing was thrown away, too: a pulse of the header at the heels of
another fragment's run leaves on the page what that run no longer drew, such as the slider that had
the focus beside the one in its place. (streamlit #9187, #16708 are about the same messages.)
"""

from __future__ import annotations

import functools

from streamlit.runtime.forward_msg_queue import ForwardMsgQueue


def keep() -> None:
    """From here on an end stays what it was where a starting run throws nothing away."""
    clear = ForwardMsgQueue.clear
    if hasattr(clear, "__wrapped__"):
        return

    @functools.wraps(clear)
    def kept(
        queue: ForwardMsgQueue,
        retain_lifecycle_msgs: bool = False,
        fragment_ids_this_run: list[str] | None = None,
    ) -> None:
        waiting = list(queue._queue)
        ends = [
            (message, message.script_finished)
            for message in waiting
            if message.WhichOneof("type") == "script_finished"
        ]
        clear(queue, retain_lifecycle_msgs, fragment_ids_this_run)
        if fragment_ids_this_run and len(queue) == len(waiting):
            for message, status in ends:
                message.script_finished = status

    ForwardMsgQueue.clear = kept  # type: ignore[method-assign]
