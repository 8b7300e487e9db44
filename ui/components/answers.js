// Answers side by side. Every text is set as text, never as HTML; a cell is touched only when it changed, so
// that a selection in one lives on while its neighbour still grows.
const KINDS = { same: "span", new: "ins", gone: "del" };

let tips = 0;

// Beside the token that is pointed at, or has the focus, its numbers. The arrow keys go from token to token of
// the answer that has the focus, Escape takes the numbers away. Returns what is to be called once tokens are drawn.
function withTip(root, make) {
  const tip = make("div", "", "answers-tip");
  tip.id = `answers-tip-${++tips}`;
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  const hide = () => {
    tip.hidden = true;
    tip.of?.removeAttribute("aria-describedby");
  };
  const show = (token) => {
    hide();
    tip.of = token;
    tip.textContent = token.dataset.tip;
    tip.hidden = false;
    token.setAttribute("aria-describedby", tip.id);
    const [at, own] = [token.getClientRects()[0], tip.getBoundingClientRect()];
    const below = at.bottom + 4 + own.height < innerHeight;
    tip.style.left = `${Math.max(4, Math.min(at.left, innerWidth - own.width - 4))}px`;
    tip.style.top = `${below ? at.bottom + 4 : at.top - own.height - 4}px`;
  };
  const look = ({ target }) => (target.dataset.tip ? show(target) : hide());
  root.addEventListener("mouseover", look);
  root.addEventListener("focusin", look);
  root.addEventListener("mouseleave", hide);
  root.addEventListener("focusout", hide);
  document.addEventListener("scroll", () => (document.activeElement === tip.of && !tip.hidden ? show(tip.of) : hide()), true);
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const tokens = [...(event.target.closest(".text")?.querySelectorAll(".token") ?? [])];
    const [now, last] = [tokens.indexOf(event.target), tokens.length - 1];
    const to = { ArrowRight: now + 1, ArrowLeft: Math.max(0, now - 1), Home: 0, End: last }[event.key];
    if (to === undefined || last < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    tokens[Math.min(to, last)].focus();
  });
  root.after(tip);
  return (kept) => (kept && tip.of?.isConnected) || hide();
}

// Above the answers what the colours say.
function tell(root, who, make) {
  root.keepTip ??= withTip(root, make);
  if (!who) {
    root.deleteCaption();
    return;
  }
  const said = JSON.stringify(who);
  const caption = root.createCaption();
  if (caption.dataset.said === said) return;
  caption.dataset.said = said;
  const names = who.names.flatMap((name, place) => [make("span", name, `who who-${place % 5}`), " "]);
  caption.replaceChildren(...names, make("span", who.words));
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".answers");
  const make = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  // a token that somebody raised has that name's colour and line, and its numbers as a tip
  const piece = ([kind, text, mark]) => {
    const made = make(KINDS[kind], text);
    if (!mark) return made;
    made.className = mark.who === null ? "token" : `token who who-${mark.who % 5}`;
    made.style.setProperty("--size", mark.size);
    made.dataset.tip = mark.words;
    made.tabIndex = -1;
    return made;
  };
  const write = (cell, pieces) => {
    const now = JSON.stringify(pieces);
    if (cell.dataset.now === now) return;
    const atEnd = cell.scrollTop + cell.clientHeight >= cell.scrollHeight - 4;
    cell.dataset.now = now;
    cell.replaceChildren(...pieces.map(piece));
    if (data.writing && atEnd) cell.scrollTop = cell.scrollHeight;
  };
  const say = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  const build = () => {
    const heads = make("tr");
    root.heads = data.heads.map(([letter]) => {
      const head = make("th");
      head.scope = "col";
      head.append(make("b", letter), make("span"));
      return head;
    });
    heads.append(...root.heads);
    const head = make("thead");
    head.append(heads);
    const body = make("tbody");
    const whole = (name, ...parts) => {
      const row = make("tr");
      const place = make("td", undefined, name);
      place.colSpan = data.heads.length;
      place.append(...parts);
      row.append(place);
      return row;
    };
    root.cells = data.rows.map(({ prompt, fold, target, cells }) => {
      const asked = make("tr");
      const name = make("th", undefined, "prompt");
      name.colSpan = data.heads.length;
      const words = make("div", prompt, fold ? "words folded" : "words");
      name.append(words);
      asked.append(name);
      const above = [asked];
      if (fold) {
        const toggle = make("button", "Show the whole prompt");
        toggle.type = "button";
        toggle.setAttribute("aria-expanded", "false");
        toggle.onclick = () => {
          const folded = words.classList.toggle("folded");
          toggle.textContent = folded ? "Show the whole prompt" : "Fold the prompt";
          toggle.setAttribute("aria-expanded", String(!folded));
        };
        above.push(whole("unfold", toggle));
      }
      if (target) above.push(whole("target", make("b", "Target "), make("span", target)));
      const said = make("tr");
      const made = cells.map((_, column) => {
        const place = make("td");
        const text = make("div", undefined, "text");
        text.tabIndex = 0;
        text.setAttribute("role", "group");
        text.setAttribute("aria-label", `${data.heads[column][0]} on: ${prompt}`);
        const note = make("div", undefined, "note");
        const verdict = make("b", "");
        const rest = make("span", "");
        note.append(verdict, rest);
        place.append(text, note);
        said.append(place);
        return { text, verdict, rest };
      });
      body.append(...above, said);
      return made;
    });
    root.replaceChildren(head, body);
  };

  const shape = JSON.stringify([data.heads.map(([letter]) => letter), data.rows.map((row) => [row.prompt, row.target])]);
  if (root.shape !== shape) {
    root.shape = shape;
    build();
  }
  tell(root, data.who, make);
  root.style.setProperty("--lines", data.lines);
  root.dataset.writing = data.writing;
  data.heads.forEach(([, state], column) => say(root.heads[column].lastChild, state));
  data.rows.forEach(({ cells }, row) =>
    cells.forEach(({ pieces, note, verdict }, column) => {
      const cell = root.cells[row][column];
      write(cell.text, pieces);
      say(cell.verdict, verdict);
      cell.verdict.className = /(right|wrong)$/.exec(verdict)?.[0] ?? "";
      say(cell.rest, verdict && note ? ` · ${note}` : note);
    })
  );
  root.keepTip(data.who);
}
