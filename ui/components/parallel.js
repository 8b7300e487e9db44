// Parallel axes under a hand: a range is dragged along an axis, an axis by its name, a line is chosen with a click.
//
//   ranges ──► lines in full colour, how many are left      here alone, until a button makes bounds of them
//   order of axes ──► Python: trigger "ordered"             line ──► trigger "clicked"
//   recipe in hand, pick (readout.js, picked.js) ──► lines over the others
//
// Ten thousand lines take a third of a second: while a hand is down some of them stand for all, and at rest they are
// drawn on a canvas out of sight, in pieces between which the page is free, and shown at once.

import { arriving, colours, opened, themes } from "./arriving.js";
import { handsOf } from "./axes.js";
import { boundOf, heightOf, heightsOf, linesWithin, said } from "./scales.js";
import { HERE, LINES, canvasPen, lookOf, overLine, picture } from "./strokes.js";

const [FEW, PIECE, REACH, NEAR_END] = [600, 12, 7, 8]; // lines while a hand is down; ms; pixels for a line, for an end
const SEND_AFTER = 250; // ms after the last key that moved an axis
const FOOT = 24; // pixels under the axes

const viewOf = (root, parentElement, kept, shared) => {
  const find = (name) => root.querySelector(name);
  const [plane, canvas, over, tip, words] = [".plane", ".lines", ".over", ".tip", ".words"].map(find);
  const view = { axes: [], hand: null, hover: -1, job: 0 };
  const back = document.createElement("canvas");
  const byName = (name) => view.axes.find((axis) => axis.name === name);
  const shown = () => kept.order.map(byName);
  const element = (tag, name, text = "") => {
    const made = document.createElement(tag);
    made.className = name;
    made.textContent = text;
    return made;
  };

  const measure = () => {
    const count = kept.order.length;
    const [width, height] = [plane.clientWidth, plane.clientHeight];
    const side = Math.min(Math.max(width / (2 * count), 46), 90);
    const step = count > 1 ? (width - 2 * side) / (count - 1) : 0;
    for (const { title } of view.axes) {
      title.style.width = `${Math.min(count > 1 ? step - 8 : width, 2 * side - 4)}px`;
      title.classList.toggle("narrow", count > 1 && step < 80);
    }
    const top = 28 + Math.max(...view.axes.map((axis) => axis.title.offsetHeight));
    const long = Math.max(height - top - FOOT, 40);
    const xs = kept.order.map((_, place) => (count > 1 ? side + place * step : width / 2));
    view.place = { xs, step, side, width, height, top, long, y: (share) => top + (1 - share) * long };
  };

  // The lines to draw, those in front last: [line, kind, whether within the ranges].
  const chosen = () => {
    const { kinds } = view.figure;
    view.within = linesWithin(view.axes, kept.ranges, kinds.length);
    view.left = view.within.reduce((sum, each) => sum + each, 0);
    const lines = kinds.map((_, line) => line);
    const rank = (line) => view.within[line] * 4 + kinds[line];
    view.lines = lines.sort((a, b) => rank(a) - rank(b) || a - b);
  };

  view.drawLine = (pen, axes, line) => {
    const { xs, y } = view.place;
    const look = view.looks[view.figure.kinds[line]];
    pen.line(xs, axes.map((axis) => y(axis.heights[line])), view.within[line] ? look : { ...look, alpha: 0.07 });
  };

  const render = () => {
    cancelAnimationFrame(view.job);
    const { width, height } = view.place;
    const scale = window.devicePixelRatio || 1;
    const target = view.hand ? canvas : back;
    [target.width, target.height] = [width * scale, height * scale];
    const pen = canvasPen(target.getContext("2d"), width, height, scale);
    const stride = view.hand ? Math.ceil(view.lines.length / FEW) : 1;
    const lines = view.lines.filter((_, place) => (view.lines.length - 1 - place) % stride === 0);
    const axes = shown();
    let at = 0;
    const piece = () => {
      const until = performance.now() + PIECE;
      while (at < lines.length) {
        view.drawLine(pen, axes, lines[at++]);
        if (at % 32 || view.hand || performance.now() < until) continue;
        view.job = requestAnimationFrame(piece);
        return;
      }
      if (view.hand) return;
      [canvas.width, canvas.height] = [back.width, back.height];
      canvas.getContext("2d").drawImage(back, 0, 0);
      root.dataset.drawn = view.revision;
      root.dataset.left = view.left;
    };
    piece();
  };

  // Where a mark of another component stands: its values, or those of its line.
  const heightsAt = (mark) => {
    const line = view.figure.ids.indexOf(mark.point ?? "");
    return shown().map((axis) => {
      const own = mark.kind === "nearest" ? undefined : mark.coefficients?.[axis.name.slice(2)]; // another point's scores
      const named = axis.coefficient ? own : mark.values?.[axis.name];
      const value = named ?? axis.values[line];
      return typeof value === "number" ? view.place.y(Math.min(Math.max(heightOf(axis, value), -0.04), 1.04)) : NaN;
    });
  };

  const overlay = (pen) => {
    const { xs, y } = view.place;
    const look = view.look;
    const ground = look("--st-background-color");
    if (view.hover >= 0) {
      const ys = shown().map((axis) => y(axis.heights[view.hover]));
      overLine(pen, xs, ys, ground, { colour: look("--st-text-color"), width: 2 }, 0);
    }
    const { pick, here } = shared;
    if (pick) overLine(pen, xs, heightsAt(pick), ground, { colour: look("--st-violet-text-color"), width: 3 }, 4);
    if (!here) return;
    const colour = look("--st-text-color");
    shown().forEach((axis, place) => {
      const band = here.bands?.[axis.name]?.map((value) => y(Math.min(Math.max(heightOf(axis, value), 0), 1)));
      if (band) pen.line([xs[place], xs[place]], band, { colour, width: 6, alpha: 0.45 });
    });
    overLine(pen, xs, heightsAt(here), ground, { colour, width: 3, dash: HERE[here.kind] ?? [] }, 4);
  };

  const entries = () => {
    const found = LINES.filter((_, kind) => view.figure.kinds.includes(kind));
    const { pick, here } = shared;
    const own = here?.kind === "predicted" ? "this recipe, predicted" : here?.label;
    if (here) found.push({ name: own, colour: "--st-text-color", width: 3, dash: HERE[here.kind] ?? [] });
    if (pick) found.push({ name: "pick", colour: "--st-violet-text-color", width: 3, dash: [] });
    return found;
  };

  view.follow = () => {
    // the marks moved, or a pointer
    if (!root.isConnected || !view.place) return;
    const scale = window.devicePixelRatio || 1;
    const { width, height } = view.place;
    [over.width, over.height] = [width * scale, height * scale];
    overlay(canvasPen(over.getContext("2d"), width, height, scale));
    const legend = entries();
    const now = JSON.stringify(legend);
    if (view.legend === now) return;
    view.legend = now;
    find(".legend").replaceChildren(
      ...legend.map(({ name, colour, width: thick, dash }) => {
        const [entry, swatch] = [element("span", "entry"), element("i", "")];
        swatch.style.borderTop = `${thick}px ${dash.length ? (dash[0] > 3 ? "dashed" : "dotted") : "solid"} var(${colour})`;
        entry.append(swatch, name);
        return entry;
      })
    );
  };

  const say = () => {
    const count = view.figure.ids.length;
    const ranged = Object.keys(kept.ranges);
    const lines = count === 1 ? "1 point" : `${count.toLocaleString("en")} points`;
    const missing = view.figure.missing;
    const left = missing ? ` ${missing.toLocaleString("en")} not shown: a value is missing.` : "";
    words.setAttribute("aria-live", view.hand ? "off" : "polite");
    words.textContent = ranged.length
      ? `${view.left.toLocaleString("en")} of ${lines} within the ranges.${left}`
      : `Up is better on every objective. Drag along an axis to set a range, or an axis by its name to move it.${left}`;
    canvas.setAttribute("aria-label", `Parallel axes: ${kept.order.map((name) => byName(name).label).join(", ")}; ${lines}`);
    find(".clear").hidden = !ranged.length;
    find(".bind").hidden = !ranged.some((name) => !byName(name)?.coefficient);
  };

  // Places of what stands on the axes: names, ends, bounds, ranges and their handles.
  const settle = () => {
    const { xs, top, long, y } = view.place;
    kept.order.forEach((name, place) => {
      const axis = byName(name);
      const held = view.hand?.name === name && view.hand.at !== undefined;
      axis.element.classList.toggle("carried", held);
      Object.assign(axis.element.style, { left: `${held ? view.hand.at : xs[place]}px`, top: `${top}px`, height: `${long}px` });
      axis.title.setAttribute("aria-label", `${axis.label}, axis ${place + 1} of ${xs.length}`);
      const put = (target, [low, high]) =>
        Object.assign(target.style, { top: `${y(high) - top + 5}px`, height: `${(high - low) * long}px` });
      const range = kept.ranges[name];
      const ends = heightsOf(axis, range);
      axis.range.hidden = !range;
      put(axis.range, ends);
      axis.bound.hidden = axis.limits.every((each) => each === null);
      put(axis.bound, heightsOf(axis, boundOf(axis, axis.limits)).map((each) => Math.min(Math.max(each, 0), 1)));
      axis.handles.forEach((handle, end) => {
        const value = range?.[end] ?? null;
        handle.style.top = `${y(ends[end]) - top + 5}px`;
        handle.classList.toggle("set", value !== null);
        const text = value === null ? "" : said(axis, value);
        handle.firstChild.textContent = text;
        const number = value ?? (end ? axis.top : axis.bottom);
        const [least, most] = [axis.bottom, axis.top].sort((a, b) => a - b);
        handle.setAttribute("aria-valuemin", Math.min(least, number));
        handle.setAttribute("aria-valuemax", Math.max(most, number));
        handle.setAttribute("aria-valuenow", number);
        handle.setAttribute("aria-valuetext", text || "no limit");
      });
    });
  };

  view.arrange = () => {
    if (!view.place || !root.isConnected || !plane.clientWidth) return;
    measure();
    settle();
    say();
    render();
    view.follow();
  };

  const ranged = (name, range) => {
    if (range) kept.ranges[name] = range;
    else delete kept.ranges[name];
    chosen();
    settle();
    say();
    render();
  };
  view.clear = (names) => {
    for (const name of names) delete kept.ranges[name];
    chosen();
    view.arrange();
  };

  const ordered = (later) => {
    clearTimeout(view.timer);
    const tell = () => {
      kept.sent = JSON.stringify(kept.order);
      view.trigger("ordered", kept.order);
    };
    if (later) view.timer = setTimeout(tell, SEND_AFTER);
    else tell();
  };
  const reorder = (order) => {
    const focus = document.activeElement;
    kept.order = order;
    for (const axis of shown()) plane.insertBefore(axis.element, tip); // Tab goes from left to right
    if (root.contains(focus)) focus.focus({ preventScroll: true });
    view.arrange();
  };

  view.hands = handsOf(view, { root, plane, kept, byName, ranged, reorder, ordered, settle, render, tip, shown, element, say });

  view.show = (revision, order) => {
    if (kept.figure?.revision !== revision || !root.isConnected) return;
    if (view.revision !== revision) {
      view.revision = revision;
      view.figure = JSON.parse(kept.figure.text);
      for (const old of view.axes) old.element.remove();
      view.axes = view.figure.axes.map((axis) => view.hands.upright(axis));
      const names = view.axes.map((axis) => axis.name);
      for (const name of Object.keys(kept.ranges)) if (!names.includes(name)) delete kept.ranges[name];
      view.legend = null;
      view.hover = -1;
      view.worn = null;
      delete root.dataset.drawn;
      chosen();
    }
    view.look = colours(parentElement);
    const counts = LINES.map((_, kind) => view.figure.kinds.filter((each) => each === kind).length);
    view.looks = LINES.map((_, kind) => lookOf(kind, Math.max(counts[kind], 1), view.look));
    const worn = JSON.stringify([order, view.look("--st-text-color")]);
    if (view.worn === worn) return view.follow();
    view.worn = worn;
    view.place ??= {};
    reorder(order);
  };

  view.picture = (format) => {
    const font = getComputedStyle(parentElement).getPropertyValue("--st-font").trim();
    picture(view, shown(), { format, font, overlay, entries: entries() });
  };
  return view;
};

export default function ({ data, parentElement, setTriggerValue }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  const { key, revision, more: [order], text } = opened(data);
  const kept = ((shared.parallels ??= {})[key] ??= { ranges: {}, order: [] });
  const root = parentElement.querySelector(".parallel");
  const stop = arriving(kept, { revision, text }, () => root.isConnected, setTriggerValue);
  const view = (root.view ??= viewOf(root, parentElement, kept, shared));
  view.trigger = setTriggerValue;
  // an answer that does not know of the last move of an axis is late, and not followed
  const same = JSON.stringify([...order].sort()) === JSON.stringify([...kept.order].sort());
  const late = kept.sent && same && kept.sent !== JSON.stringify(order);
  if (!late) kept.sent = null;
  const draw = () => view.show(revision, late ? kept.order : order);
  shared.place = view.follow;
  draw();
  view.watcher?.disconnect();
  view.watcher = themes(parentElement, draw);
  view.sizes ??= new ResizeObserver(() => view.arrange());
  view.sizes.observe(root.querySelector(".plane"));
  return () => {
    stop();
    view.watcher.disconnect();
    view.sizes.disconnect();
  };
}
