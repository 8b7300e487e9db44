"""A served app and a real browser, for the journeys and the benchmark.

with Served(study, home) as app, browser() as chromium:
    page = app.open(chromium)
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from engine.unfinished import drop, make_temporary

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PAGES = ("explore", "compare", "sweeps", "models", "export")
NOISE = (
    "GL Driver Message",
    "willReadFrequently",
    "Multiple different fragmentIds detected",
    *(f"/{page}/_stcore/" for page in PAGES),
)
"""How WebGL charts read pixels; Streamlit running the whole page where a click and news of another
fragment are sent together; Streamlit asking at which level of an address it is served."""
WAIT = 90_000
"""Milliseconds that anything may take: generous, for machines that do much else."""

WITH_STACK = """for (const level of ['warn', 'error']) {
    const say = console[level].bind(console);
    console[level] = (...all) => say(...all, new Error().stack.split('\\n').slice(2).join(' '));
}"""
"""Warnings and errors say who called."""

POINT_ON_SCREEN = """(id) => {
    const chart = document.querySelector('.tradeoff');
    const frame = chart.getBoundingClientRect();
    const { xaxis, yaxis } = chart._fullLayout;
    for (const trace of chart.data) {
        const at = (trace.customdata || []).findIndex((row) => row[0] === id);
        if (at >= 0) return [frame.x + xaxis._offset + xaxis.d2p(trace.x[at]),
                             frame.y + yaxis._offset + yaxis.d2p(trace.y[at])];
    }
    return null;
}"""


expect.set_options(timeout=WAIT)


def chromium() -> str | None:
    """Where a Chromium is installed; None where none is."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    return None


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            yield started
        finally:
            started.close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Served:
    """The app as `python app.py` serves it, on a port of its own.

    Args:
        study: None for the shipped demo.
        device: where its engine computes; the demo's points were measured on "cpu".
        root: the checkout whose app it is.
        environment: added to that of its process.
    """

    def __init__(
        self,
        study: Path | None,
        home: Path,
        port: int | None = None,
        device: str = "auto",
        environment: Mapping[str, str] | None = None,
        root: Path = ROOT,
    ) -> None:
        self.root = root
        self.environment = dict(environment or {})
        self.study = study
        self.device = device
        self.home = home
        self.port = port or free_port()
        self._place = make_temporary("served")
        self.log = self._place[0] / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Served:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        drop(*self._place)

    def start(self) -> None:
        command = [
            sys.executable,
            "app.py",
            "--port",
            str(self.port),
            "--workspace",
            str(self.home),
            "--device",
            self.device,
        ]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PARETOSCOPE_")}
        environment |= self.environment
        if self.study is not None:
            environment["PARETOSCOPE_STUDY"] = str(self.study)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=log, stderr=log
            )
        limit = time.monotonic() + WAIT / 1000
        while True:
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < limit, f"no answer: {self.log.read_text()}"
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2).close()
                return
            except OSError:
                time.sleep(0.1)

    def stop(self) -> None:
        """End the server as a terminal would; its worker ends with it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def worker(self) -> int:
        """Process id of the app's worker."""
        assert self._process is not None
        for place in Path("/proc").glob("[0-9]*"):
            try:
                parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
                command = (place / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == str(self._process.pid) and b"engine.jobs.worker" in command:
                return int(place.name)
        raise AssertionError("the app has no worker")

    def open(
        self,
        chromium: Browser,
        path: str = "/",
        prepare: Callable[[Page], object] | None = None,
        **options: Any,
    ) -> Page:
        """A page of 1280 × 720 in a fresh profile; what goes wrong goes to `page.complaints`.

        Args:
            prepare: is called with the page before it loads.
        """
        size = {"width": 1280, "height": 720}
        page = chromium.new_context(viewport=size, **options).new_page()
        page.set_default_timeout(WAIT)
        page.add_init_script(WITH_STACK)
        page.complaints = []  # type: ignore[attr-defined]

        def said(kind: str, text: str, where: str = "") -> None:
            if not any(each in text + where for each in NOISE):
                page.complaints.append(f"{kind}: {text} {where}")  # type: ignore[attr-defined]

        def console(message: Any) -> None:
            if message.type in ("error", "warning"):
                said(message.type, message.text, str(message.location))

        def request(asked: Any) -> None:
            if not asked.url.startswith((self.url, "blob:", "data:")):
                said("request", asked.url)

        page.on("console", console)
        page.on("pageerror", lambda error: said("error", str(error)))
        page.on("request", request)
        if prepare is not None:
            prepare(page)
        page.goto(f"{self.url}{path}")
        return page


def wait_for_chart(page: Page) -> str:
    """Until a chart is drawn; its revision."""
    found = page.wait_for_selector(".tradeoff[data-drawn], .parallel[data-drawn]")
    assert found is not None
    return str(found.get_attribute("data-drawn"))


@contextmanager
def redrawn(page: Page) -> Iterator[None]:
    """Until the chart shows another revision than before the block, of whichever view."""
    before = wait_for_chart(page)
    yield
    page.wait_for_function(
        "old => ![null, undefined, old].includes("
        "document.querySelector('.tradeoff, .parallel')?.dataset.drawn)",
        arg=before,
    )


@contextmanager
def moved(page: Page, name: str) -> Iterator[None]:
    """Until a mark on the chart, `here` or `pick`, stands elsewhere than before the block."""
    page.wait_for_selector(f".mark.{name}:not([hidden])", state="attached")
    before = page.locator(f".mark.{name}").evaluate("each => each.style.transform")
    yield
    page.wait_for_function(
        "([name, old]) => { const mark = document.querySelector(`.mark.${name}`);"
        " return mark && !mark.hidden && mark.style.transform !== old; }",
        arg=[name, before],
    )


def kinds(page: Page) -> set[str]:
    """What the chart is drawn with."""
    return set(page.evaluate("document.querySelector('.tradeoff').data.map(each => each.type)"))


def points(page: Page) -> dict[str, str]:
    """Id -> name of trace, of every point on the chart; of a line its kind."""
    found: dict[str, str] = page.evaluate(
        """() => {
            const { view, data } = document.querySelector('.tradeoff, .parallel');
            const lines = view?.figure.ids.map((id, line) => [id, String(view.figure.kinds[line])]);
            return Object.fromEntries(lines ?? data.flatMap((trace) =>
                (trace.customdata || []).map((row) => [row[0], trace.name])));
        }"""
    )
    return found


def slider(page: Page, name: str) -> Any:
    """The native slider of a coefficient, for keys; another method's stay hidden in the page."""
    place = ".st-key-controls .stElementContainer:visible"
    return page.locator(f'{place} input[type=range][aria-label="{name}"]')
