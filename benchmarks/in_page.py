"""What `ui_latency` runs inside the page: each takes times from the event to the frame after what
it changed, where no message to or from the browser lies between.
"""

WATCH = """() => {
    const watched = Boolean(window.repaints);
    window.repaints = []; window.answers = [];
    if (watched) return;
    const times = (attribute, found, counts) => {
        let pressed = null;
        document.addEventListener('keydown', () => { pressed ??= performance.now(); }, true);
        new MutationObserver((records) => records.some(counts)
            && requestAnimationFrame(() => setTimeout(() => {
                if (pressed === null) return;
                window[found].push(performance.now() - pressed);
                pressed = null;
            }, 0))).observe(document.body,
                { subtree: true, attributes: true, attributeFilter: [attribute] });
    };
    times('data-placed', 'repaints', () => true);
    times('data-recipe', 'answers', ({ target }) => target.dataset.recipe);  // Python's own words
}"""

WATCH_STOCK = """() => {
    window.repaints = [];
    document.addEventListener('keydown', () => {
        const pressed = performance.now();
        const at = () => document.querySelector('.js-plotly-plot')?.data?.[1]?.x?.[0];
        const before = at();
        const look = () => {
            const now = at();
            if (now === undefined || now === before) { requestAnimationFrame(look); return; }
            requestAnimationFrame(() =>
                setTimeout(() => window.repaints.push(performance.now() - pressed), 0));
        };
        look();
    }, true);
}"""

FRAMES = """() => {
    window.frames_seen = []; window.frames_on = true;
    const look = (now) => {
        window.frames_seen.push(now);
        if (window.frames_on) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""

SWITCH = """([link, ...signs]) => new Promise((done) => {
    const start = performance.now();
    const old = new Set(signs.flatMap((sign) => [...document.querySelectorAll(sign)]));
    const times = signs.map(() => 0);
    const look = () => {
        signs.forEach((sign, i) => {
            if (times[i] || ![...document.querySelectorAll(sign)].some((each) => !old.has(each)))
                return;
            times[i] = -1;
            setTimeout(() => {  // this frame is painted
                times[i] = performance.now() - start;
                if (times.every((each) => each > 0)) done(times);
            }, 0);
        });
        if (times.includes(0)) requestAnimationFrame(look);
    };
    const links = [...document.querySelectorAll('header a, nav a')];
    links.find((each) => each.textContent.includes(link)).click();
    look();
})"""
"""Goes by a link; for each sign of the page, milliseconds until one that is new is painted."""

TOKEN = """(limit) => new Promise((done, failed) => {
    const start = performance.now();
    const watcher = new MutationObserver((records) => {
        const grown = records.some(({ target, addedNodes }) =>
            target.classList?.contains('text') && addedNodes.length && target.textContent.trim());
        if (!grown) return;
        watcher.disconnect();
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - start), 0));
    });
    watcher.observe(document.querySelector('.stMain'), { subtree: true, childList: true });
    setTimeout(() => failed(new Error(`no text within ${limit} ms of Answer`)), limit);
    [...document.querySelectorAll('button')].find((e) => e.textContent === 'Answer').click();
})"""
