"""What the browser is told of a fragment's run when another's starts before it was sent."""

from __future__ import annotations

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

from pages.parts import ends

EARLY = ForwardMsg.FINISHED_EARLY_FOR_RERUN
WHOLE = ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY


def waiting(*drawn: str) -> ForwardMsgQueue:
    """An element of each fragment, and the end of the run."""
    queue = ForwardMsgQueue()
    for place, fragment in enumerate(drawn):
        message = ForwardMsg()
        message.metadata.delta_path.extend([0, place])
        message.delta.new_element.text.body = fragment
        message.delta.fragment_id = fragment
        queue.enqueue(message)
    end = ForwardMsg()
    end.script_finished = WHOLE
    queue.enqueue(end)
    return queue


def said(queue: ForwardMsgQueue) -> int:
    [found] = [each for each in queue.flush() if each.WhichOneof("type") == "script_finished"]
    return found.script_finished


def test_an_end_stays_where_nothing_is_thrown_away() -> None:
    ends.keep()
    ends.keep()
    queue = waiting("recipe", "recipe")
    queue.clear(True, ["header"])
    assert len(queue) == 3 and said(queue) == WHOLE


def test_an_end_is_early_where_elements_are_thrown_away() -> None:
    ends.keep()
    for again in (["recipe"], ["header", "recipe"], None):
        queue = waiting("recipe", "header")
        queue.clear(True, again)
        assert len(queue) < 3 and said(queue) == EARLY


def test_streamlit_by_itself_says_early() -> None:
    """Once it no longer does, this module can go."""
    clear = getattr(ForwardMsgQueue.clear, "__wrapped__", ForwardMsgQueue.clear)
    queue = waiting("recipe")
    clear(queue, True, ["header"])
    assert len(queue) == 2 and said(queue) == EARLY
