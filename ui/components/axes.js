// What a hand does with upright axes: it drags a range along one, an end of it or all of it, an axis by its name; it
// points at lines. The same by keys: on an end of a range up and down, on a name left and right.

import { boundOf, carried, heightOf, heightsOf, nearestLine, rangeBetween, rising } from "./scales.js";

export const handsOf = (view, chart) => {
  const { root, plane, kept, byName, ranged, reorder, ordered, settle, render, tip, shown, element, say } = chart;

  // An axis of the figure with its elements.
  const upright = (given) => {
    const own = element("div", "axis");
    const [title, rail, bound, range] = ["button", "div", "div", "div"].map((tag, k) =>
      element(tag, ["name", "rail", "bound", "range"][k])
    );
    title.type = "button";
    title.append(element("span", "", given.label));
    title.title = `${given.label}\nDrag it, or press the left and right arrow keys, to move the axis`;
    const heights = Float64Array.from(given.values, (value) => heightOf(given, value));
    const axis = { ...given, heights, limits: given.bound, coefficient: given.name.startsWith("c:") };
    const low = rising(given) ? ["at least", "at most"] : ["at most", "at least"];
    axis.handles = [0, 1].map((end) => {
      const handle = element("div", "handle");
      handle.append(element("span", ""));
      const said = { role: "slider", tabindex: "0", "aria-orientation": "vertical", "aria-label": `${given.label}, ${low[end]}` };
      for (const [name, value] of Object.entries(said)) handle.setAttribute(name, value);
      handle.dataset.end = end;
      return handle;
    });
    axis.ends = ["bottom", "top"].map((name) => element("span", `end ${name}`, String(Number(given[name].toPrecision(4)))));
    rail.append(bound, range, ...axis.handles);
    own.append(title, ...axis.ends, rail);
    own.dataset.name = given.name;
    plane.insertBefore(own, tip);
    return Object.assign(axis, { element: own, title, rail, bound, range });
  };

  const at = (event) => {
    const box = plane.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const heightAt = (event) => {
    const { top, long } = view.place;
    return Math.min(Math.max(1 - (at(event).y - top) / long, 0), 1);
  };
  const point = (line, where) => {
    // at a line, -1 at none
    if (view.hover !== line) {
      view.hover = line;
      view.follow();
      plane.style.cursor = line < 0 ? "" : "pointer";
      tip.hidden = line < 0;
      if (line < 0) return;
      const { ids, texts, scores } = view.figure;
      const lines = shown().map((axis) => `${axis.label} ${scores[axis.name]?.[line] ?? axis.values[line]}`);
      lines.push(`point ${ids[line]}`);
      tip.replaceChildren(element("b", "", texts[line]), ...lines.map((text) => element("span", "", text)));
    }
    if (line < 0) return;
    const { width, height } = view.place;
    tip.style.left = `${Math.min(where.x + 14, width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.max(Math.min(where.y + 14, height - tip.offsetHeight - 4), 0)}px`;
  };
  const lineAt = (event) => {
    const among = view.lines.filter((line) => view.within[line]);
    return nearestLine(shown(), view.place, among, at(event), REACH);
  };

  const takeRail = (event, axis) => {
    const [height, ends] = [heightAt(event), heightsOf(axis, kept.ranges[axis.name])];
    const near = ends.map((end) => Math.abs(end - height) * view.place.long);
    const end = Number(near[1] < near[0]);
    const handle = event.target.closest(".handle");
    const grabbed = handle ? Number(handle.dataset.end) : kept.ranges[axis.name] && near[end] < NEAR_END ? end : -1;
    const [part, from] = [event.target === axis.range && grabbed < 0 ? "all" : grabbed < 0 ? "new" : "end", height];
    axis.handles[Math.max(grabbed, 0)].focus({ preventScroll: true, focusVisible: false });
    return (now) => {
      if (part === "new") return [Math.min(from, now), Math.max(from, now)];
      if (part === "all") {
        const shift = Math.min(Math.max(now - from, -ends[0]), 1 - ends[1]);
        return ends.map((each) => each + shift);
      }
      const other = ends[1 - grabbed];
      return grabbed ? [other, Math.max(now, other)] : [Math.min(now, other), other];
    };
  };

  const down = (event) => {
    if (event.button || !view.place) return;
    const own = event.target.closest(".axis");
    point(-1);
    if (!own) return;
    const axis = byName(own.dataset.name);
    const start = { pointer: event.pointerId, name: axis.name, x: event.clientX, y: event.clientY, moved: false };
    event.preventDefault();
    if (event.target.closest(".rail")) view.hand = { ...start, resize: takeRail(event, axis), plain: !event.target.closest(".handle, .range") };
    else {
      axis.title.focus({ preventScroll: true, focusVisible: false });
      view.hand = { ...start, before: JSON.stringify(kept.order) };
    }
    plane.setPointerCapture(event.pointerId);
  };
  const move = (event) => {
    const { hand } = view;
    if (!hand) {
      const bare = event.target === plane;
      return view.place && point(bare ? lineAt(event) : -1, at(event));
    }
    hand.moved ||= Math.hypot(event.clientX - hand.x, event.clientY - hand.y) > 3;
    if (!hand.moved) return;
    hand.last = event;
    hand.frame ||= requestAnimationFrame(() => {
      hand.frame = 0;
      if (view.hand === hand) follow(hand, hand.last);
    });
  };
  const follow = (hand, event) => {
    if (hand.resize) return ranged(hand.name, rangeBetween(byName(hand.name), ...hand.resize(heightAt(event))));
    const { side, step, width } = view.place;
    hand.at = Math.min(Math.max(at(event).x, 0), width);
    const place = step ? Math.round((hand.at - side) / step) : 0;
    const order = carried(kept.order, hand.name, place);
    if (order.join("\n") !== kept.order.join("\n")) reorder(order);
    else settle();
  };
  const up = (event) => {
    const { hand } = view;
    if (!hand) {
      const line = event.target === plane && event.type === "pointerup" ? lineAt(event) : -1;
      if (line >= 0) view.trigger("clicked", view.figure.ids[line]);
      return;
    }
    if (hand.frame) {
      cancelAnimationFrame(hand.frame);
      follow(hand, hand.last);
    }
    view.hand = null;
    if (hand.resize) ranged(hand.name, hand.moved || !hand.plain ? kept.ranges[hand.name] : null);
    else {
      view.arrange();
      if (hand.before !== JSON.stringify(kept.order)) ordered(false);
    }
  };

  const ENDS = { ArrowUp: 1, ArrowDown: -1, Home: -Infinity, End: Infinity };
  const key = (event) => {
    const axis = byName(event.target.closest(".axis")?.dataset.name);
    if (!axis || event.altKey || event.ctrlKey || event.metaKey) return;
    const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.target === axis.title && side) {
      event.preventDefault();
      const place = kept.order.indexOf(axis.name) + side;
      if (place < 0 || place >= kept.order.length) return;
      reorder(carried(kept.order, axis.name, place));
      ordered(true);
    }
    if (event.target.role !== "slider") return;
    if (event.key === "Escape" || event.key === "Delete") return ranged(axis.name, null);
    if (!ENDS[event.key]) return;
    event.preventDefault();
    const end = Number(event.target.dataset.end);
    const heights = heightsOf(axis, kept.ranges[axis.name]);
    const step = (axis.step / Math.abs(axis.top - axis.bottom)) * (event.shiftKey ? 10 : 1);
    const [least, most] = end ? [heights[0], 1] : [0, heights[1]];
    heights[end] = Math.min(Math.max(heights[end] + ENDS[event.key] * step, least), most);
    ranged(axis.name, rangeBetween(axis, ...heights));
  };

  const buttons = (event) => {
    const name = event.target.closest("button")?.className;
    const names = Object.keys(kept.ranges);
    if (name === "clear") view.clear(names);
    if (name !== "bind") return;
    const bound = names.map(byName).filter((axis) => !axis.coefficient);
    view.trigger("bound", Object.fromEntries(bound.map((axis) => [axis.name, boundOf(axis, kept.ranges[axis.name])])));
    view.clear(bound.map((axis) => axis.name));
  };
  const heard = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up, pointerleave: () => point(-1), keydown: key };
  for (const [name, call] of Object.entries(heard)) plane.addEventListener(name, call);
  root.addEventListener("click", buttons);
  root.querySelector(".pictures").append(
    ...["PNG", "SVG"].map((format) => {
      const button = element("button", "picture", format);
      button.type = "button";
      button.setAttribute("aria-label", `Download the chart as ${format}`);
      button.addEventListener("click", () => view.picture(format.toLowerCase()));
      return button;
    })
  );
  return { upright };
};
