// Which member of the front suits weights best, and which weights give way when one moves. No page, no state: the rules
// of engine/front/preference.py and studio/decide/preference.py, step by step in the same order, so that the numbers
// are the same to the last bit. Every constant comes from there, with the members (`rules`).

const sum = (numbers) => numbers.reduce((found, each) => found + each, 0);

// A function: weights in hundredths -> place of the member that suits them best, -1 where there is none.
export const chooser = ({ terms, names, ids, rules }) => {
  const [measure, total] = [new Float64Array(ids.length), new Float64Array(ids.length)];
  return (hundredths) => {
    const weights = hundredths.map((each) => each / rules.steps);
    const most = Math.max(...weights);
    const shares = weights.map((each) => each / most);
    const whole = sum(shares);
    const scaled = shares.map((each) => each / whole);
    let least = Infinity, lightest = Infinity;
    for (let k = 0, at = 0; k < ids.length; k++) {
      let largest = -Infinity;
      total[k] = 0;
      for (let i = 0; i < names.length; i++, at++) {
        const term = terms[at] * scaled[i];
        total[k] += term;
        if (term > largest) largest = term;
      }
      measure[k] = largest + rules.rho * total[k];
      if (measure[k] < least) least = measure[k];
    }
    for (let k = 0; k < ids.length; k++)
      if (measure[k] <= least + rules.tie && total[k] < lightest) lightest = total[k];
    for (let k = 0; k < ids.length; k++)
      if (measure[k] <= least + rules.tie && total[k] <= lightest + rules.tie) return k;
    return -1;
  };
};

// Whole numbers that sum to `total` in proportion to shares.
const apportion = (shares, total, { even }) => {
  const whole = sum(shares);
  const exact = shares.map((each) => total * (whole ? each / whole : 1 / shares.length));
  const found = exact.map((each) => Math.floor(each + even));
  const left = exact.map((each, i) => Math.floor((each - found[i]) / even + 0.5));
  const order = exact.map((_, i) => i).sort((i, j) => left[j] - left[i] || i - j);
  for (const i of order.slice(0, total - sum(found))) found[i] += 1;
  return found;
};

// What the others do not hold, the free ones share.
const shared = (weights, free, shares, rules) => {
  const room = rules.steps - sum(weights.filter((_, i) => !free.includes(i)));
  const [counts, whole] = [apportion(shares, room, rules), sum(shares)];
  const found = { weights: [...weights], exact: weights.map((each) => each / rules.steps) };
  free.forEach((i, k) => {
    found.weights[i] = counts[k];
    found.exact[i] = (Math.max(room, rules.least) * (whole ? shares[k] / whole : 1 / free.length)) / rules.steps;
  });
  return found;
};

// The same weight for each of so many.
export const equal = (count, rules) => {
  const weights = apportion(Array(count).fill(1), rules.steps, rules);
  return { weights, exact: weights.map((each) => each / rules.steps) };
};

// Places of the weights that may give way.
export const unlocked = (locked) => locked.map((_, i) => i).filter((i) => !locked[i]);

// After one weight was moved to a value in hundredths; `locked` says of each whether it stays.
export const rebalanced = ({ weights, exact }, locked, place, value, rules) => {
  const others = unlocked(locked).filter((i) => i !== place);
  if (locked[place] || !others.length) return { weights, exact };
  const room = rules.steps - sum(weights.filter((_, i) => locked[i]));
  const held = [...weights];
  held[place] = Math.min(Math.max(value, 0), room);
  return shared(held, others, others.map((i) => exact[i]), rules);
};

// After all weights were asked for at once, in any scale.
export const placed = ({ weights, exact }, locked, asked, rules) => {
  const free = unlocked(locked);
  if (!free.length) return { weights, exact };
  return shared(weights, free, free.map((i) => Math.max(asked[i], 0)), rules);
};
