// The pick in words, its mark on the chart, and where the pad's handle stands. Text is set as text, never as HTML.
export default function ({ data, parentElement }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  const root = parentElement.querySelector(".picked");
  const element = (tag, text, name) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  shared.say = (title, point, lines) => {
    const scores = element("dl", "");
    for (const [objective, text] of lines) scores.append(element("dt", objective), element("dd", text));
    root.replaceChildren(element("p", title, "title"), scores);
    root.dataset.point = point;
  };
  shared.say(data.title, data.mark.point, data.lines);
  shared.pick = data.mark;
  shared.aimed = data.aimed;
  shared.place?.();
  shared.aim?.();
  return () => {
    setTimeout(() => {
      if (root.isConnected || shared.pick !== data.mark) return;
      shared.pick = null;
      shared.place?.();
    }, 100);
  };
}
