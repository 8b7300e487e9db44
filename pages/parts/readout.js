// The lines beside the sliders, and where the ring stands. Text is set as text, never as HTML.
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
  root.replaceChildren(
    element("p", data.title, data.whole ? "title whole" : "title"),
    element("p", data.note, "note"),
    scores
  );
  root.dataset.recipe = data.recipe;
  shared.here = data;
  shared.place?.();
}
