// A plotly chart that keeps zoom and camera while points arrive, and a ring over it that follows the sliders.
//
// The ring is one element placed by the chart's own axes, not a trace: moving it costs one frame however
// many points there are, where restyling a trace redraws them all (245 ms for 10,000 without a GPU).
// Only a 3-D scene, whose projection plotly keeps to itself, has its ring as a trace.

const RING = 22;

export default function ({ data, parentElement, setTriggerValue }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  const root = parentElement.querySelector(".tradeoff");
  const ring = parentElement.querySelector(".ring");
  const { revision, figure } = JSON.parse(new TextDecoder().decode(data));
  root.clicked = (point) => setTriggerValue("clicked", point);

  // Colours are written as names of CSS variables; the theme says what they are. A see-through one is
  // laid over the background, because 3-D scenes draw it opaque.
  const themed = () => {
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
    return JSON.parse(JSON.stringify(figure), (_, value) =>
      typeof value === "string" && value.startsWith("--st-")
        ? (known[value] ??= resolve(value))
        : value
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

  const place = () => {
    const here = shared.here;
    const layout = root._fullLayout;
    ring.hidden = true;
    if (!layout || !here?.values) return;
    const names = layout.meta.axes;
    const at = names.map((name) => here.values[name]);
    const known = at.every((value) => typeof value === "number");
    if (names.length === 3) {
      const trace = root.data.length - 1;
      const [x, y, z] = known ? at : [null, null, null];
      const old = root.data[trace];
      if (old.x[0] === x && old.y[0] === y && old.z[0] === z) return;
      shared.plotly.restyle(root, { x: [[x]], y: [[y]], z: [[z]] }, [trace]);
      return;
    }
    if (!known) return;
    const { xaxis, yaxis } = layout;
    const x = xaxis.d2p(at[0]);
    const y = yaxis.d2p(at[1]);
    if (x < 0 || y < 0 || x > xaxis._length || y > yaxis._length) return;
    ring.hidden = false;
    ring.classList.toggle("exact", here.exact);
    ring.classList.toggle("below", y < 30);
    ring.classList.toggle("left", x > xaxis._length * 0.7);
    ring.firstElementChild.textContent = here.label;
    ring.style.transform = `translate(${x + xaxis._offset - RING / 2}px, ${y + yaxis._offset - RING / 2}px)`;
  };

  const draw = async () => {
    if (!root.isConnected) return;
    const colours = getComputedStyle(parentElement).getPropertyValue("--st-text-color");
    if (root.revision === revision && root.colours === colours) return;
    root.revision = revision;
    root.colours = colours;
    const { data: traces, layout } = themed();
    if (!withWebgl())
      for (const trace of traces) if (trace.type === "scattergl") trace.type = "scatter";
    const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
    await shared.plotly.react(root, traces, layout, config);
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
