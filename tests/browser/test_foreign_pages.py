"""A page of another port of this machine: it may neither frame the app nor talk to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.driver import WAIT, Served, wait_for_chart

pytestmark = pytest.mark.browser

FOREIGN = """<!doctype html><title>foreign</title><script>
const app = new URLSearchParams(location.search).get('app');
const tell = (name, text) => { document.documentElement.dataset[name] = text; };
fetch(`${app}/_stcore/health`).then(each => tell('fetch', `read ${each.status}`),
                                    () => tell('fetch', 'refused'));
const image = new Image();
image.onload = () => tell('image', 'shown');
image.onerror = () => tell('image', 'refused');
image.src = `${app}/favicon.png`;
const socket = new WebSocket(`${app.replace('http', 'ws')}/_stcore/stream`, ['streamlit']);
socket.onopen = () => tell('socket', 'open');
socket.onclose = () => { document.documentElement.dataset.socket ||= 'refused'; };
const frame = document.createElement('iframe');
frame.onload = () => tell('frame', 'loaded');
frame.src = app;
addEventListener('DOMContentLoaded', () => document.body.append(frame));
</script><body></body>"""


class Foreign(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(FOREIGN.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def foreign() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_another_port_may_not_frame_or_talk(shipped: Served, chrome: Browser, foreign: str) -> None:
    for app in (shipped.url, shipped.url.replace("127.0.0.1", "localhost")):
        page = chrome.new_context().new_page()
        page.set_default_timeout(WAIT)
        page.goto(f"{foreign}/?app={app}")
        page.wait_for_function(
            "['fetch', 'image', 'socket', 'frame'].every("
            "each => document.documentElement.dataset[each])"
        )
        found = page.evaluate("({...document.documentElement.dataset})")
        assert {found[each] for each in ("fetch", "image", "socket")} == {"refused"}
        [frame] = [each for each in page.frames if each != page.main_frame]
        assert frame.url.startswith("chrome-error:")
        page.context.close()


def test_the_app_is_the_same_by_both_names(shipped: Served, chrome: Browser) -> None:
    page = chrome.new_context().new_page()
    page.set_default_timeout(WAIT)
    page.goto(shipped.url.replace("127.0.0.1", "localhost"))
    wait_for_chart(page)
    expect(page.get_by_text("points", exact=False).first).to_be_visible()
    page.context.close()
