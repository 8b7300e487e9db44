// Answers side by side. Every text is set as text, never as HTML; a cell is touched only when it changed, so
// that a selection in one lives on while its neighbour still grows.
const KINDS = { same: "span", new: "ins", gone: "del" };

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".answers");
  const make = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const write = (cell, pieces) => {
    const now = JSON.stringify(pieces);
    if (cell.dataset.now === now) return;
    const atEnd = cell.scrollTop + cell.clientHeight >= cell.scrollHeight - 4;
    cell.dataset.now = now;
    cell.replaceChildren(...pieces.map(([kind, text]) => make(KINDS[kind], text)));
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
}
