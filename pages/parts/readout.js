// The lines beside the sliders, and the mark of the recipe in hand. Text is set as text, never as HTML.
export default function ({ data, parentElement }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  const root = parentElement.querySelector(".readout");
  const element = (tag, text, name) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const scores = element("dl", "");
  for (const [objective, text] of data.lines)
    scores.append(element("dt", objective), element("dd", text));
  const kind = data.mark?.kind ?? "none";
  root.replaceChildren(
    element("p", data.title, data.whole ? "title whole" : "title"),
    element("p", data.note, "note"),
    scores
  );
  root.dataset.kind = kind;
  root.dataset.recipe = data.recipe;
  shared.here = data.mark;
  shared.place?.();
}
