// A plotly chart that keeps zoom and camera while points arrive and from page to page, and the marks over it:
// where the recipe in hand stands, and the pick of the preference.
//
// Streamlit throws a page's elements away when the page is left. The drawn frame is kept in the window, one a
// chart, and put into the page when it comes back: drawing 10,000 points anew takes a second.
//
// The marks are elements placed by the chart's own axes or camera, not traces: moving one costs one frame
// however many points there are, where restyling a trace redraws them all (without a GPU 245 ms for 10,000
// points on flat axes, 4 s in a 3-D scene).

import { arriving, colours, opened, themes } from "./arriving.js";

export default function ({ data, parentElement, setTriggerValue }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  const frames = (shared.frames ??= {});
  const { key, revision, text } = opened(data);
  const made = parentElement.querySelector(".frame");
  if (!made) return; // another mount of this chart has taken the frame: this one is about to go
  const frame = (frames[key] ??= made);
  const back = frame !== made;
  if (back) made.replaceWith(frame);
  const root = frame.querySelector(".tradeoff");
  const marks = { here: frame.querySelector(".here"), pick: frame.querySelector(".pick") };
  const stop = arriving(root, { revision, text }, () => root.isConnected, setTriggerValue);
  root.clicked = (point) => setTriggerValue("clicked", point);

  const themed = (figure) => {
    const look = colours(parentElement);
    return JSON.parse(figure, (_, each) => (typeof each === "string" && each.startsWith("--st-") ? look(each) : each));
  };

  const withWebgl = () => {
    if (shared.webgl === undefined) {
      const context = document.createElement("canvas").getContext("webgl2");
      shared.webgl = Boolean(context);
      context?.getExtension("WEBGL_lose_context")?.loseContext();
    }
    return shared.webgl;
  };

  // What the axes show of a mark, one function an axis: the value of an objective with its band, or a coefficient.
  const quantities = ({ axes, coefficients, objective, curve }) => {
    const score = (name) => (mark) => [mark.values?.[name], mark.bands?.[name]];
    const coefficient = (name) => (mark) => [mark.coefficients?.[name]];
    const share = (name) => (mark) => {
      const whole = Object.values(mark.coefficients ?? {}).reduce((sum, each) => sum + each, 0);
      return [whole > 0 ? mark.coefficients[name] / whole : undefined];
    };
    if (curve) return [(curve.share ? share : coefficient)(curve.name), score(curve.objective)];
    return coefficients ? [...coefficients.map(coefficient), score(objective)] : (axes ?? []).map(score);
  };

  // Where in the frame a place among these quantities is.
  const axes = () => {
    const layout = root._fullLayout;
    const shown = quantities(layout?.meta ?? {});
    const scene = layout?.scene?._scene;
    if (scene?.glplot?.cameraParams) {
      const outer = frame.getBoundingClientRect();
      const box = scene.container.getBoundingClientRect();
      return {
        of: (mark) => shown.map((each) => each(mark)),
        width: outer.width,
        clamp: (_, value) => value,
        pixel: (at) => {
          const { model, view, projection } = scene.glplot.cameraParams;
          const on = ["xaxis", "yaxis", "zaxis"].map((name) => layout.scene[name]);
          let v = [...at.map((value, place) => on[place].d2l(value) * scene.dataScale[place]), 1];
          for (const m of [model, view, projection])
            v = [0, 1, 2, 3].map((row) => m[row] * v[0] + m[row + 4] * v[1] + m[row + 8] * v[2] + m[row + 12] * v[3]);
          if (v[3] <= 0) return null;
          return [
            box.left - outer.left + ((1 + v[0] / v[3]) / 2) * box.width,
            box.top - outer.top + ((1 - v[1] / v[3]) / 2) * box.height,
          ];
        },
      };
    }
    const { xaxis, yaxis } = layout ?? {};
    if (shown.length < 2 || !xaxis?.d2p || !yaxis?.d2p) return null;
    const both = [xaxis, yaxis];
    return {
      of: (mark) => shown.slice(0, 2).map((each) => each(mark)),
      width: xaxis._offset + xaxis._length,
      clamp: (place, value) => {
        const [low, high] = both[place].range.map(both[place].r2d).sort((a, b) => a - b);
        return Math.min(Math.max(value, low), high);
      },
      pixel: (at) => {
        const [x, y] = both.map((axis, place) => axis.d2p(at[place]));
        if (x < 0 || y < 0 || x > xaxis._length || y > yaxis._length) return null;
        return [x + xaxis._offset, y + yaxis._offset];
      },
    };
  };

  const placeMark = (element, mark, within) => {
    element.hidden = true;
    if (!mark || !within) return;
    const found = within.of(mark);
    const at = found.map(([value]) => value);
    if (!at.length || !at.every((each) => typeof each === "number")) return;
    const here = within.pixel(at);
    if (!here) return;
    element.hidden = false;
    element.dataset.kind = mark.kind ?? "";
    element.classList.toggle("below", here[1] < 60);
    element.classList.toggle("left", here[0] > within.width * 0.7);
    element.querySelector("span").textContent = mark.label;
    element.style.transform = `translate(${here[0]}px, ${here[1]}px)`;
    element.querySelectorAll("i").forEach((bar, place) => {
      const band = found[place]?.[1];
      const ends = band?.map((value) =>
        within.pixel(at.map((each, other) => (other === place ? within.clamp(place, value) : each)))
      );
      bar.hidden = !ends || ends.includes(null);
      if (bar.hidden) return;
      const [across, up] = [ends[1][0] - ends[0][0], ends[1][1] - ends[0][1]];
      bar.style.width = `${Math.hypot(across, up)}px`;
      bar.style.transform =
        `translate(${ends[0][0] - here[0]}px, ${ends[0][1] - here[1] - 1}px) rotate(${Math.atan2(up, across)}rad)`;
    });
  };

  const place = () => {
    if (!root._fullLayout || !root.isConnected) return;
    const within = axes();
    for (const name of ["here", "pick"]) placeMark(marks[name], shared[name], within);
    frame.dataset.placed = (Number(frame.dataset.placed) || 0) + 1;
  };

  // A camera that moves takes the marks along, frame by frame.
  const followCamera = () => {
    const plot = root._fullLayout?.scene?._scene?.glplot;
    if (!plot || plot.followed) return;
    plot.followed = true;
    const before = plot.onrender;
    plot.onrender = (...all) => {
      before?.apply(plot, all);
      root.place?.();
    };
  };

  // A picture of the chart as it stands, made here, on the page's background.
  const pictures = () =>
    [["png", "camera"], ["svg", "disk"]].map(([format, icon]) => ({
      name: `picture_${format}`,
      title: `Download the chart as ${format.toUpperCase()}`,
      icon: shared.plotly.Icons[icon],
      click: ({ data, layout, _fullLayout: { width, height } }) => {
        const ground = getComputedStyle(parentElement).getPropertyValue("--st-background-color").trim();
        const shown = { data, layout: { ...layout, paper_bgcolor: ground } };
        return shared.plotly.downloadImage(shown, { format, width, height, scale: 2, filename: "chart" });
      },
    }));

  const draw = async () => {
    if (!root.isConnected || root.figure?.revision !== revision) return;
    const worn = getComputedStyle(parentElement).getPropertyValue("--st-text-color");
    if (root.revision === revision && root.colours === worn) return;
    root.revision = revision;
    root.colours = worn;
    const shown = themed(root.figure.text);
    if (!withWebgl())
      for (const trace of shown.data) if (trace.type === "scattergl") trace.type = "scatter";
    const config = { responsive: true, ...shown.config, modeBarButtonsToAdd: (root.pictures ??= pictures()) };
    root.classList.toggle("grows", !shown.layout.height);
    await shared.plotly.react(root, shown.data, shown.layout, config);
    if (!root.listening) {
      root.listening = true;
      root.on("plotly_click", (event) => {
        const point = event.points[0]?.customdata?.[0];
        if (point) root.clicked(point);
      });
      for (const event of ["plotly_afterplot", "plotly_relayouting"])
        root.on(event, () => root.place?.());
      root.on("plotly_webglcontextlost", () => (root.lost = true));
    }
    followCamera();
    root.dataset.drawn = revision;
    place();
  };

  // What was drawn before is seen at once; points that came while the page was away follow, as any that come.
  const afterPaint = (call) => requestAnimationFrame(() => setTimeout(call, 0));

  const resized = () => {
    const { width, height } = root._fullLayout ?? {};
    return Math.max(Math.abs(root.clientWidth - width), Math.abs(root.clientHeight - height)) >= 1;
  };

  // The frame is in the page again: the window may have another size now, the canvas may have lost its pixels.
  const comeBack = () => {
    if (root.lost) {
      shared.plotly.purge(root);
      root.lost = root.listening = root.revision = null;
    }
    if (root.revision !== revision) delete root.dataset.drawn;
    else if (resized()) shared.plotly.Plots.resize(root);
    place();
  };

  root.place = shared.place = place;
  if (back) comeBack();
  if (!shared.plotly) shared.waiting.push(draw);
  else if (back && root.revision !== revision) afterPaint(draw);
  else draw();

  // A change of theme arrives as new variables, not as new data. Streamlit calls only the last mount's
  // cleanup, so each call ends the watcher before.
  root.watcher?.disconnect();
  const watcher = (root.watcher = themes(parentElement, () => shared.plotly && draw()));

  return () => {
    stop();
    watcher.disconnect();
  };
}
