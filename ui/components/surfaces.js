// What the method in hand is predicted to score anywhere on its sliders: engine/search/surrogate.py's arithmetic,
// here so that mark and words follow a slider on every frame. Python's own answer comes after (see readout.js).
//
//   a slider moves ──► MutationObserver ──► live.follow (readout.js) ──► live.predict ──► words, mark

// One that another has replaced stays in the page until the run has ended.
const SLIDERS = ".st-key-controls .stElementContainer:not([data-retained]) input[type=range]";

const sigmoid = (value) => 0.5 + 0.5 * Math.tanh(0.5 * value);

const unlinked = (value, { link, count, least }) => {
  if (link === "logit") return Math.min(Math.max((sigmoid(value) * (count + 1) - 0.5) / count, 0), 1);
  const found = link === "log" ? Math.exp(Math.min(Math.max(value, -700), 700)) : value;
  return least === null ? found : Math.max(found, least);
};

// 1, c_i, c_i c_j (i ≤ j); on a simplex of the first K − 1 shares. Null where the shares have no sum.
const features = (coefficients, simplex) => {
  let c = coefficients;
  if (simplex) {
    const total = c.reduce((sum, each) => sum + each, 0);
    if (Math.abs(total) < 1e-12) return null;
    c = c.map((each) => each / total).slice(0, -1);
  }
  const row = [1, ...c];
  for (let i = 0; i < c.length; i++) for (let j = i; j < c.length; j++) row.push(c[i] * c[j]);
  return row;
};

const predict = (row, surface) => {
  const { link, beta, covariance, noise, scatter, count, half } = surface;
  const centre = row.reduce((sum, each, i) => sum + each * beta[i], 0);
  let variance = scatter + noise;
  if (link === "logit") {
    const edge = 0.5 / (count + 1);
    const p = Math.min(Math.max(sigmoid(centre), edge), 1 - edge);
    variance = scatter + noise / (p * (1 - p));
  }
  for (let i = 0, k = 0; i < row.length; i++)
    for (let j = i; j < row.length; j++, k++) variance += row[i] * row[j] * covariance[k];
  const width = half * Math.sqrt(variance);
  return [centre, centre - width, centre + width].map((each) => unlinked(each, surface));
};

export default function ({ data }) {
  const live = ((window.paretoscope ??= { waiting: [] }).live ??= {});
  const text = new TextDecoder().decode(data);
  if (live.model?.text !== text) live.model = { text, ...JSON.parse(text) };

  // Coefficient -> value, as the sliders show it now; what Python has heard may be older.
  live.sliders = () =>
    Object.fromEntries(
      [...document.querySelectorAll(SLIDERS)].map((each) => [each.getAttribute("aria-label"), Number(each.value)])
    );

  // As readout in studio/points/words.py says it; null where there is no surface.
  live.predict = (values) => {
    const { names, simplex, axes, title, note, surfaces } = live.model;
    if (!names.length || names.some((name) => values[name] === undefined)) return null;
    const row = features(names.map((name) => values[name]), simplex);
    if (row === null) return null;
    const out = names.some((name) => values[name] === 0);
    const known = Object.entries(surfaces).filter(([, surface]) => !(out && surface.inside));
    const found = known.map(([name, surface]) => [name, predict(row, surface)]);
    const said = new Map(found.map(([name, each]) => [name, each.map((value) => value.toFixed(3))]));
    const words = ([mean, low, high]) => `${mean}, ${low} … ${high}`;
    return {
      title, note, whole: false, recipe: "",
      lines: axes.map(([name, label]) => [label, said.has(name) ? words(said.get(name)) : "not predicted"]),
      mark: {
        kind: "predicted", label: "predicted",
        values: Object.fromEntries(found.map(([name, [mean]]) => [name, mean])),
        bands: Object.fromEntries(found.map(([name, [, low, high]]) => [name, [low, high]])),
        coefficients: Object.fromEntries(names.map((name) => [name, values[name]])),
      },
    };
  };

  live.watching ??= new MutationObserver((records) => {
    if (records.some(({ target }) => target.matches(SLIDERS))) live.follow?.();
  });
  live.watching.observe(document.body, { subtree: true, attributes: true, attributeFilter: ["aria-valuetext"] });
}
