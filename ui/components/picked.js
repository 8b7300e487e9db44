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
    const said = JSON.stringify([title, point, lines]);
    if (root.said === said) return;  // a screen reader would read it again
    root.said = said;
    const scores = element("dl", "");
    for (const [objective, text] of lines) scores.append(element("dt", objective), element("dd", text));
    root.replaceChildren(element("p", title, "title"), scores);
    root.dataset.point = point;
  };
  shared.hear = () => {  // what Python says, unless a hand has moved on since
    if (root.said && shared.ahead?.()) return;
    shared.say(data.title, data.mark.point, data.lines);
    shared.pick = data.mark;
    shared.place?.();
    shared.aim?.();
  };
  shared.picked = root;
  shared.aimed = data.aimed;
  shared.hear();
  return () => {
    setTimeout(() => {
      if (root.isConnected || shared.picked !== root) return;
      shared.pick = null;
      shared.place?.();
    }, 100);
  };
}
