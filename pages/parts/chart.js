// A plotly chart that keeps zoom and camera while points arrive, and the marks over it: where the recipe in
// hand stands, and the pick of the preference.
//
// On flat axes the marks are elements placed by the chart's own axes, not traces: moving one costs one frame
// however many points there are, where restyling a trace redraws them all (245 ms for 10,000 without a GPU).
// Only a 3-D scene, whose projection plotly keeps to itself, has them as traces.

const IN_DEPTH = {
  here: { color: "--st-text-color", size: 12, symbol: "circle-open" },
  pick: { color: "--st-violet-text-color", size: 12, symbol: "diamond-open" },
};

export default function ({ data, parentElement, setTriggerValue }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  const root = parentElement.querySelector(".tradeoff");
  const frame = parentElement.querySelector(".frame");
  const marks = { here: frame.querySelector(".here"), pick: frame.querySelector(".pick") };
  const { revision, figure } = JSON.parse(new TextDecoder().decode(data));
  root.clicked = (point) => setTriggerValue("clicked", point);

  // Colours are written as names of CSS variables; the theme says what they are. A see-through one is
  // laid over the background, because 3-D scenes draw it opaque.
  const themed = (value) => {
    const style = getComputedStyle(parentElement);
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
    const resolve = (name) => (CSS.supports("color", look(name)) ? flat(look(name)) : look(name));
    return JSON.parse(JSON.stringify(value), (_, each) =>
      typeof each === "string" && each.startsWith("--st-") ? (known[each] ??= resolve(each)) : each
    );
  };

  const withWebgl = () => {
    if (shared.webgl === undefined) {
      const context = document.createElement("canvas").getContext("webgl2");
      shared.webgl = Boolean(context);
      context?.getExtension("WEBGL_lose_context")?.loseContext();
    }
    return shared.webgl;
  };

  const deep = (layout) => Boolean(layout.scene);

  // The place of a mark among the axes' quantities: objectives, or the coefficients of a surface.
  const where = (mark, meta) => {
    const [names, values] = meta.coefficients
      ? [meta.coefficients, mark?.coefficients]
      : [meta.axes ?? [], mark?.values];
    const at = names.map((name) => values?.[name]);
    if (meta.coefficients && deep(root.layout)) at.push(mark?.values?.[meta.objective]);
    return at.length && at.every((each) => typeof each === "number") ? { names, at } : null;
  };

  const placeFlat = (element, mark, layout) => {
    const found = where(mark, layout.meta ?? {});
    element.hidden = true;
    if (!found) return;
    const { xaxis, yaxis } = layout;
    const x = xaxis.d2p(found.at[0]);
    const y = yaxis.d2p(found.at[1]);
    if (x < 0 || y < 0 || x > xaxis._length || y > yaxis._length) return;
    element.hidden = false;
    element.dataset.kind = mark.kind ?? "";
    element.classList.toggle("below", y < 44);
    element.classList.toggle("left", x > xaxis._length * 0.7);
    element.querySelector("span").textContent = mark.label;
    element.style.transform = `translate(${x + xaxis._offset}px, ${y + yaxis._offset}px)`;
    for (const [name, axis, at, line, from, length] of [
      [found.names[0], xaxis, x, ".across", "left", "width"],
      [found.names[1], yaxis, y, ".up", "top", "height"],
    ]) {
      const band = layout.meta.coefficients ? undefined : mark.bands?.[name];
      const bar = element.querySelector(line);
      if (!bar) continue;
      bar.hidden = !band;
      if (!band) continue;
      const ends = band.map((value) => Math.min(Math.max(axis.d2p(value), 0), axis._length));
      bar.style[from] = `${Math.min(...ends) - at}px`;
      bar.style[length] = `${Math.abs(ends[1] - ends[0])}px`;
    }
  };

  const placeDeep = (name, mark, layout) => {
    const trace = root.data.findIndex((each) => each.name === name);
    if (trace < 0) return;
    const found = where(mark, layout.meta ?? {});
    const at = found ? found.at : [null, null, null];
    const key = JSON.stringify([at, mark?.bands]);
    if (root.dataset[name] === key) return;
    root.dataset[name] = key;
    const change = {};
    ["x", "y", "z"].forEach((letter, place) => {
      const band = mark?.bands?.[found?.names[place]];
      change[letter] = [[at[place]]];
      change[`error_${letter}.visible`] = Boolean(band);
      change[`error_${letter}.array`] = [[band ? band[1] - at[place] : 0]];
      change[`error_${letter}.arrayminus`] = [[band ? at[place] - band[0] : 0]];
    });
    shared.plotly.restyle(root, change, [trace]);
  };

  const place = () => {
    const layout = root._fullLayout;
    if (!layout || !root.isConnected) return;
    for (const name of ["here", "pick"]) {
      if (deep(root.layout)) {
        marks[name].hidden = true;
        placeDeep(name, shared[name], root.layout);
      } else if (layout.xaxis?.d2p) placeFlat(marks[name], shared[name], layout);
      else marks[name].hidden = true;
    }
    frame.dataset.placed = (Number(frame.dataset.placed) || 0) + 1;
  };

  const inDepth = (name) => ({
    type: "scatter3d", mode: "markers", name, x: [null], y: [null], z: [null], hoverinfo: "skip",
    showlegend: false, marker: IN_DEPTH[name],
    ...Object.fromEntries(["x", "y", "z"].map((letter) => [`error_${letter}`,
      { type: "data", symmetric: false, array: [0], arrayminus: [0], visible: false, color: IN_DEPTH[name].color }])),
  });

  const draw = async () => {
    if (!root.isConnected) return;
    const colours = getComputedStyle(parentElement).getPropertyValue("--st-text-color");
    if (root.revision === revision && root.colours === colours) return;
    root.revision = revision;
    root.colours = colours;
    const extra = deep(figure.layout) ? [inDepth("here"), inDepth("pick")] : [];
    const shown = themed({ data: [...figure.data, ...extra], layout: figure.layout });
    if (!withWebgl())
      for (const trace of shown.data) if (trace.type === "scattergl") trace.type = "scatter";
    delete root.dataset.here;
    delete root.dataset.pick;
    const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
    await shared.plotly.react(root, shown.data, shown.layout, config);
    if (!root.listening) {
      root.listening = true;
      root.on("plotly_click", (event) => {
        const point = event.points[0]?.customdata?.[0];
        if (point) root.clicked(point);
      });
      for (const event of ["plotly_afterplot", "plotly_relayouting"])
        root.on(event, () => root.place?.());
    }
    root.place = place;
    root.dataset.drawn = revision;
    place();
  };

  shared.place = place;
  if (shared.plotly) draw();
  else shared.waiting.push(draw);

  // A change of theme arrives as new variables, not as new data.
  const watcher = new MutationObserver(() => shared.plotly && requestAnimationFrame(draw));
  for (let element = parentElement; element; element = element.parentElement)
    watcher.observe(element, { attributes: true, attributeFilter: ["class", "style"] });
  watcher.observe(document.head, { childList: true });

  return () => {
    watcher.disconnect();
    setTimeout(() => {
      if (!root.isConnected && shared.plotly) shared.plotly.purge(root);
    }, 1000);
  };
}
