// The lines beside the sliders, and the mark of the recipe in hand. Text is set as text, never as HTML.
//
// While a slider moves they follow on every frame by what is predicted here; Python's answer about the same
// recipe then takes over. An answer about a recipe that the sliders have left already is not shown.

export default function ({ data, parentElement }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  const live = (shared.live ??= {});
  const root = parentElement.querySelector(".readout");
  const element = (tag, text, name) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const show = ({ title, note, lines, whole, recipe, mark }) => {
    const words = JSON.stringify([title, note, lines, whole]);
    if (root.words !== words) {  // a screen reader says again what is set again
      root.words = words;
      const scores = element("dl", "");
      for (const [objective, text] of lines) scores.append(element("dt", objective), element("dd", text));
      root.replaceChildren(
        element("p", title, whole ? "title whole" : "title"),
        element("p", note, "note"),
        scores
      );
    }
    root.dataset.kind = mark?.kind ?? "none";
    root.dataset.recipe = recipe;
    shared.here = mark;
    shared.place?.();
  };

  // A slider shows 0.75 for a coefficient of 0.7521.
  const same = (values, { coefficients, step }) =>
    Object.entries(coefficients).every(([name, value]) => Math.abs(values[name] - value) <= 0.501 * step);

  const before = live.answered;
  live.answered = data;
  live.follow = () => {
    if (!root.isConnected) return;
    const values = live.sliders();
    const found = same(values, live.answered) ? live.answered : live.predict(values);
    if (found) show(found);
  };
  // Sliders that stand elsewhere than this answer and the one before were moved by a hand since; where they
  // still stand at the one before, Python loads a recipe and they are about to follow.
  const values = live.sliders?.() ?? {};
  const there = Object.keys(data.coefficients).every((name) => name in values);
  const stayed = same(values, data) || (before && same(values, before));
  if (!there || stayed || !live.predict?.(values)) show(data);
}
