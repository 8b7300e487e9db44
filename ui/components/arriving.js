// What the charts share: how a figure comes, what the theme's colours are, and when they change.

// The message: a line of JSON, then the figure where this browser may not have it.
export const opened = (data) => {
  const end = data.indexOf(10);
  const text = (bytes) => new TextDecoder().decode(bytes);
  const [key, revision, ...more] = JSON.parse(text(data.subarray(0, end)));
  return { key, revision, more, text: end + 1 < data.length ? text(data.subarray(end + 1)) : null };
};

// Keep a figure that came as `kept.figure`. What did not arrive, as when a newer run overtook the one that sent it, is
// asked for until it comes; never in the task of a click: Streamlit hears only one fragment of what is said at once.
// What arrives is not acknowledged.
export const arriving = (kept, { revision, text }, connected, setTriggerValue) => {
  if (text !== null) kept.figure = { revision, text };
  const missing = () => (kept.figure?.revision === revision ? null : "figure");
  const ask = (later, next) => {
    kept.asking = setTimeout(() => {
      if (!missing() || !connected()) return;
      setTriggerValue("missing", missing());
      ask(next, 2 * next);
    }, later);
  };
  clearTimeout(kept.asking);
  if (missing()) ask(200, 2000);
  return () => clearTimeout(kept.asking);
};

// What the theme says that a CSS variable is. A see-through colour is laid over the background: 3-D scenes draw it
// opaque.
export const colours = (element) => {
  const style = getComputedStyle(element);
  const look = (name) => style.getPropertyValue(name).trim();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const flat = (colour) => {
    for (const each of [look("--st-background-color"), colour]) {
      context.fillStyle = each;
      context.fillRect(0, 0, 1, 1);
    }
    return `rgb(${context.getImageData(0, 0, 1, 1).data.slice(0, 3).join(",")})`;
  };
  const known = {};
  return (name) => (known[name] ??= CSS.supports("color", look(name)) ? flat(look(name)) : look(name));
};

// A change of theme arrives as new variables, not as new data. Streamlit calls only the last mount's cleanup, so each
// call of a component ends the watcher before.
export const themes = (parentElement, changed) => {
  const watcher = new MutationObserver(() => requestAnimationFrame(changed));
  for (let element = parentElement; element; element = element.parentElement)
    watcher.observe(element, { attributes: true, attributeFilter: ["class", "style"] });
  watcher.observe(document.head, { childList: true });
  return watcher;
};
