// Upright axes in numbers: heights from 0 at the bottom to 1 at the top, ranges, order. Nothing of the page.
//
// An axis is {name, label, bottom, top, bound, step, values}; top < bottom where lower is better. A range is the pair
// of values at its lower and its upper end on the screen, null where it reaches the end of the axis.

export const heightOf = (axis, value) => (value - axis.bottom) / (axis.top - axis.bottom);
export const rising = (axis) => axis.top > axis.bottom;
export const said = (axis, value) => value.toFixed(Math.max(0, -Math.floor(Math.log10(axis.step) + 1e-9)));

// The value at a height, on the grid of the axis' steps.
const valueAt = (axis, height) => {
  const value = axis.bottom + height * (axis.top - axis.bottom);
  return Number((Math.round(value / axis.step) * axis.step).toPrecision(12));
};

// The range between two heights; null where it is the whole axis.
export const rangeBetween = (axis, low, high) => {
  const range = [low <= 0 ? null : valueAt(axis, low), high >= 1 ? null : valueAt(axis, high)];
  return range[0] === null && range[1] === null ? null : range;
};

export const heightsOf = (axis, range) => [
  range?.[0] == null ? 0 : heightOf(axis, range[0]),
  range?.[1] == null ? 1 : heightOf(axis, range[1]),
];

// Lowest and highest value of a range, as a bound has them.
export const boundOf = (axis, range) => (rising(axis) ? range : [range[1], range[0]]);

// Which lines lie within every range: 1 or 0 for each.
export const linesWithin = (axes, ranges, count) => {
  const found = new Uint8Array(count).fill(1);
  for (const axis of axes) {
    if (!ranges[axis.name]) continue;
    const [low, high] = boundOf(axis, ranges[axis.name]).map((each, end) => each ?? (end ? Infinity : -Infinity));
    for (let line = 0; line < count; line++)
      if (!(axis.values[line] >= low && axis.values[line] <= high)) found[line] = 0;
  }
  return found;
};

// The order with one name at another place.
export const carried = (order, name, place) => {
  const rest = order.filter((each) => each !== name);
  const at = Math.min(Math.max(place, 0), rest.length);
  return [...rest.slice(0, at), name, ...rest.slice(at)];
};

// The line nearest to a place of the plane, -1 where none is within reach; of equals the one drawn last.
export const nearestLine = (axes, { xs, y }, lines, at, reach) => {
  const right = xs.findIndex((x) => x >= at.x);
  if (right < 0 || (right === 0 && xs[0] - at.x > reach)) return -1;
  const [i, j] = right === 0 ? [0, 0] : [right - 1, right];
  const share = i === j ? 0 : (at.x - xs[i]) / (xs[j] - xs[i]);
  let [best, least] = [-1, reach];
  for (const line of lines) {
    const from = y(axes[i].heights[line]);
    const to = y(axes[j].heights[line]);
    const slope = i === j ? 0 : (to - from) / (xs[j] - xs[i]);
    const far = Math.abs(at.y - (from + share * (to - from))) / Math.hypot(1, slope);
    if (far <= least) [best, least] = [line, far];
  }
  return best;
};
