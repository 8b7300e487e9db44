// The answers along a slider: under it a ribbon for each prompt, with a tick wherever its text changes, and the
// text at the slider's value. Every text is set as text, never as HTML.
const LEAST = 1e-5;  // so near to a change decoding may give either text

// The shortest number within an interval, clear of its ends; its middle where there is none.
const roundest = (low, high) => {
  const [middle, clear] = [(low + high) / 2, Math.min(LEAST, (high - low) / 4)];
  for (let digits = 0; digits <= 12; digits++) {
    const value = Number(middle.toFixed(digits));
    if (value >= low + clear && value <= high - clear) return value;
  }
  return middle;
};

// Which interval of `ends` holds a value; at a change the one that begins there.
const place = (ends, value) => {
  let [low, high] = [0, ends.length - 2];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ends[middle] <= value) low = middle;
    else high = middle - 1;
  }
  return low;
};

const short = (value) => String(Number(value.toPrecision(6)));

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".ribbon");
  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const button = (name, text, press) => {
    const made = make("button", name, text);
    made.type = "button";
    made.onclick = press;
    return made;
  };
  const { slider, low, high, rows } = data;
  const ribbon = (root.ribbon ??= {});
  ribbon.send = (where) => setTriggerValue("used", { value: ribbon.value, where, turn: (ribbon.turn = (ribbon.turn ?? 0) + 1) });

  const put = (value) => {  // the slider stands at a value now
    ribbon.value = Math.min(Math.max(value, low), high);
    const at = place(ribbon.cells, ribbon.value);
    ribbon.input.value = ribbon.value;
    ribbon.output.textContent = short(ribbon.value);
    const many = ribbon.cells.length - 2;
    ribbon.input.setAttribute("aria-valuetext", `${slider} ${short(ribbon.value)}, behind ${at} of ${many} changes`);
    ribbon.back.disabled = at === 0;
    ribbon.next.disabled = at === many;
    root.dataset.value = ribbon.value;
    const share = ((ribbon.value - low) / (high - low)) * 100;
    rows.forEach(({ ends, texts }, row) => {
      const [part, now] = [ribbon.parts[row], place(ends, ribbon.value)];
      part.hair.style.left = `${share}%`;
      if (part.now === now) return;
      part.strip.children[part.now]?.classList.remove("now");
      part.strip.children[now].classList.add("now");
      part.now = now;
      part.text.textContent = texts[now] || "empty";
      part.text.classList.toggle("empty", !texts[now]);
      part.note.textContent =
        `${short(ends[now])} to ${short(ends[now + 1])} · text ${now + 1} of ${texts.length}`;
    });
  };
  const jump = (by) => {  // to the next text of any prompt, or the one before
    const at = place(ribbon.cells, ribbon.value) + by;
    if (at >= 0 && at < ribbon.cells.length - 1) put(roundest(ribbon.cells[at], ribbon.cells[at + 1]));
  };

  const build = () => {
    ribbon.cells = [...new Set(rows.flatMap(({ ends }) => ends))].sort((a, b) => a - b);
    ribbon.back = button("back", "Previous change", () => jump(-1));
    ribbon.next = button("next", "Next change", () => jump(1));
    ribbon.output = make("output");
    const head = make("div", "line");
    const name = make("b", "name", slider);
    const changes = ribbon.cells.length - 2;
    const count = make("span", "count", changes ? `${changes} change${changes > 1 ? "s" : ""}` : "no text changes along it");
    head.append(name, ribbon.output, ribbon.back, ribbon.next, count);
    ribbon.input = make("input");
    Object.assign(ribbon.input, { type: "range", min: low, max: high, step: "any" });
    ribbon.input.setAttribute("aria-label", `${slider}; left and right go from change to change`);
    ribbon.input.oninput = () => put(Number(ribbon.input.value));
    ribbon.input.onkeydown = (event) => {
      const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      jump(by);
    };
    const scale = make("div", "scale");
    scale.append(make("span", "", short(low)), make("span", "", short(high)));
    ribbon.parts = rows.map(({ prompt, ends, texts }) => {
      const part = { now: -1, strip: make("div", "strip"), hair: make("i", "hair"), text: make("div", "text"), note: make("div", "note") };
      part.strip.append(
        ...texts.map((_, n) => {
          const piece = make("span", n % 2 ? "odd" : "even");
          piece.style.left = `${((ends[n] - low) / (high - low)) * 100}%`;
          piece.style.width = `${((ends[n + 1] - ends[n]) / (high - low)) * 100}%`;
          piece.onclick = () => put(roundest(ends[n], ends[n + 1]));
          return piece;
        }),
        part.hair
      );
      part.strip.setAttribute("aria-hidden", "true");
      part.text.tabIndex = 0;
      part.text.setAttribute("role", "group");
      part.text.setAttribute("aria-label", `Answer at this value on: ${prompt}`);
      part.prompt = make("div", "prompt", prompt);
      return part;
    });
    ribbon.tray = button("tray", "Add this value as a column", () => ribbon.send("tray"));
    ribbon.hand = button("hand", "Use this value in the sliders", () => ribbon.send("sliders"));
    const foot = make("div", "line");
    foot.append(ribbon.tray, ribbon.hand);
    const each = ribbon.parts.flatMap(({ prompt, strip, text, note }) => [prompt, strip, text, note]);
    root.replaceChildren(head, ribbon.input, scale, ...each, foot);
    put(data.at);
  };

  if (ribbon.revision !== data.revision) {
    ribbon.revision = data.revision;
    build();
  }
  ribbon.tray.disabled = data.full;
  ribbon.tray.title = data.full ? "Four columns are there: remove one" : "";
}
