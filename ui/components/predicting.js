// What the method in hand is predicted to score anywhere on its sliders: the arithmetic of engine/search/surrogate.py,
// quadratic.py and links.py, and the words of studio/points/words.py. No page, no state. What a surface is and every
// constant come from studio/charts/live.py.

const sigmoid = (value) => 0.5 + 0.5 * Math.tanh(0.5 * value);
const clip = (value, low, high) => Math.min(Math.max(value, low), high);

const unlinked = (value, { link, count, least }, { half, largest }) => {
  if (link === "logit") return clip((sigmoid(value) * (count + 1) - half) / count, 0, 1);
  const found = link === "log" ? Math.exp(clip(value, -largest, largest)) : value;
  return least === null ? found : Math.max(found, least);
};

// 1, c_i, c_i c_j (i ≤ j); on a simplex of the shares of all models but the last, in each of
// `simplex` sums. Null where a sum has no shares.
const features = (coefficients, simplex, { nothing }) => {
  let c = coefficients;
  if (simplex) {
    const totals = Array(simplex).fill(0);
    c.forEach((each, i) => { totals[i % simplex] += each; });
    if (totals.some((total) => Math.abs(total) < nothing)) return null;
    c = c.map((each, i) => each / totals[i % simplex]).slice(0, -simplex);
  }
  const row = [1, ...c];
  for (let i = 0; i < c.length; i++) for (let j = i; j < c.length; j++) row.push(c[i] * c[j]);
  return row;
};

// Each coefficient's share in its sum, on a simplex.
const shares = (c, simplex) =>
  c.map((each, i) => each / c.reduce((sum, other, j) => sum + (j % simplex === i % simplex ? other : 0), 0));

// Whether the position lies outside the points that were fitted: of their box, or less certain than any of them.
const outside = (c, own, { box, reach }, { slack }) =>
  (reach !== null && own > reach * (1 + slack)) ||
  (box !== null && c.some((each, i) => each < box[0][i] - slack || each > box[1][i] + slack));

// Mean, the ends of its band, and the variance of the surface itself.
const predict = (row, surface, rules) => {
  const { link, beta, factor, noise, scatter, count, student } = surface;
  const centre = row.reduce((sum, each, i) => sum + each * beta[i], 0);
  let variance = 0;
  for (let k = 0; k < factor.length; ) {
    let along = 0;
    for (let i = 0; i < row.length; i++, k++) along += row[i] * factor[k];
    variance += along * along;
  }
  let sampling = noise;
  if (link === "logit") {
    const edge = rules.half / (count + 1);
    const p = clip(sigmoid(centre), edge, 1 - edge);
    sampling = noise / (p * (1 - p));
  }
  const width = student * Math.sqrt(variance + scatter + sampling);
  const ends = [centre, centre - width, centre + width].map((each) => unlinked(each, surface, rules));
  return { ends, own: variance };
};

// As Python writes it: halfway between two, the even one, where toFixed takes the larger.
const fixed = (value, digits) => {
  const text = value.toFixed(digits);
  const halfway = Number.isInteger(value * 2 ** (digits + 1)) && !Number.isInteger(value * 2 ** digits);
  const last = Number(text.at(-1));
  return halfway && last % 2 ? text.slice(0, -1) + (last - 1) : text;
};

// Float64 numbers as they are sent.
const numbers = (text) => new Float64Array(Uint8Array.from(atob(text), (each) => each.charCodeAt(0)).buffer);

// The surfaces as `predicted` takes them, from what Python sends.
export const unpacked = (text) => {
  const found = JSON.parse(text);
  for (const each of Object.values(found.surfaces)) {
    for (const name of ["beta", "factor"]) each[name] = numbers(each[name]);
    each.box = each.box?.map(numbers) ?? null;
  }
  return found;
};

// Lines and mark at these coefficients, name -> value; null where there is no surface.
export const predicted = (model, values) => {
  const { names, simplex, axes, title, note, labels, surfaces, rules } = model;
  if (!names.length || names.some((name) => values[name] === undefined)) return null;
  const here = names.map((name) => values[name]);
  const row = features(here, simplex, rules);
  if (row === null) return null;
  const out = names.some((name) => values[name] === 0);
  const known = Object.entries(surfaces).filter(([, surface]) => !(out && surface.inside));
  const place = simplex ? shares(here, simplex) : here;
  let far = false;
  const found = known.map(([name, surface]) => {
    const { ends, own } = predict(row, surface, rules);
    far ||= outside(place, own, surface, rules);
    return [name, ends];
  });
  const said = new Map(found.map(([name, each]) => [name, each.map((value) => fixed(value, rules.digits))]));
  const words = ([mean, low, high], { caught }) => `${mean}, ${low} … ${high}${caught}`;
  return {
    title, note: far ? model.outside + note : note, whole: false, recipe: "",
    lines: axes.map(([name, label]) => [
      label, said.has(name) ? words(said.get(name), surfaces[name]) : "not predicted",
    ]),
    mark: {
      kind: "predicted", label: labels[Number(far)],
      values: Object.fromEntries(found.map(([name, [mean]]) => [name, mean])),
      bands: Object.fromEntries(found.map(([name, [, low, high]]) => [name, [low, high]])),
      coefficients: Object.fromEntries(names.map((name) => [name, values[name]])),
    },
  };
};
