// A triangle with an objective at each corner: where the handle stands says the weights, and while it moves the
// pick is found on every frame among the measured members of the front (front.js). Nothing is asked of the server
// until the handle is let go.
//
//   pointer, keys ──► weights in hundredths ──► front.js ──► the pick
//                          on release ──► Python: trigger "moved"
//
// The picture holds the pick of each of the 5151 weights there are: a region is where one member is picked, and its
// colour says towards which corners it lies. Lines between regions are left clear, so no theme needs another picture.

const [WIDTH, HEIGHT] = [200, 173];  // of the triangle in the page's pixels; it may be drawn in a hidden tab
const SCALE = 2;  // canvas pixels for each of the page's
const SEND_AFTER = 250;  // ms after the last key

const cell = ({ steps }, a, b) => a * (steps + 1) + b;

const everyWeights = function* ({ steps }) {
  for (let a = 0; a <= steps; a++) for (let b = 0; b <= steps - a; b++) yield [a, b, steps - a - b];
};

const tabulate = (front) => {
  const table = new Int32Array((front.rules.steps + 1) ** 2).fill(-1);
  for (const weights of everyWeights(front.rules)) table[cell(front.rules, ...weights)] = front.choose(weights);
  return table;
};

// A colour for each member that is picked somewhere: the corners' colours, mixed as the weights are in its region.
const colour = (table, corners, rules) => {
  const mixed = new Map();
  for (const weights of everyWeights(rules)) {
    const own = table[cell(rules, ...weights)];
    const sums = mixed.get(own) ?? [0, 0, 0];
    weights.forEach((weight, i) => (sums[i] += weight));
    mixed.set(own, sums);
  }
  for (const [own, sums] of mixed) {
    const whole = sums[0] + sums[1] + sums[2];
    mixed.set(own, [0, 1, 2].map((k) => Math.round(sums.reduce((sum, each, i) => sum + (each / whole) * corners[i][k], 0))));
  }
  return mixed;
};

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

export default function ({ data, parentElement, setTriggerValue }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  const root = parentElement.querySelector(".pad");
  const find = (name) => root.querySelector(name);
  const [area, handle, regions, region] = [".triangle", ".handle", ".regions", ".region"].map(find);
  const pad = (root.pad ??= { dragging: false, asked: 0, pick: -1 });
  const weighed = () => {  // the front, once it is the one of these corners
    const { front } = shared;
    return front && data.names.every((name, i) => front.names[i] === name) ? front : null;
  };
  pad.send = () => {
    clearTimeout(pad.timer);
    pad.timer = undefined;
    const front = weighed();
    if (!front) return;
    front.held = false;
    front.moved = null;
    front.turn += 1;
    const pairs = front.names.map((name, i) => [name, front.weights[i]]);
    setTriggerValue("moved", { weights: Object.fromEntries(pairs), turn: front.turn });
  };

  const paint = ({ rules }) => {
    for (const canvas of [regions, region]) [canvas.width, canvas.height] = [WIDTH * SCALE, HEIGHT * SCALE];
    const [across, down] = [regions.width, regions.height];
    pad.owner = new Int32Array(across * down).fill(-1);
    for (let y = 0; y < down; y++) {
      const top = 1 - (y + 0.5) / down;
      const half = ((1 - top) * across) / 2;
      for (let x = Math.ceil(across / 2 - half - 0.5); x + 0.5 <= across / 2 + half; x++) {
        const right = (x + 0.5) / across - top / 2;
        const a = Math.min(Math.round(top * rules.steps), rules.steps);
        const b = Math.min(Math.max(Math.round((1 - top - right) * rules.steps), 0), rules.steps - a);
        pad.owner[y * across + x] = pad.table[cell(rules, a, b)];
      }
    }
    const image = new ImageData(across, down);
    pad.inside = new Uint8Array(across * down);
    for (let p = 0; p < pad.owner.length; p++) {
      const own = pad.owner[p];
      if (own < 0) continue;
      const [next, below] = [pad.owner[p + 1], pad.owner[p + across]];
      if ((next >= 0 && next !== own) || (below >= 0 && below !== own)) continue;
      pad.inside[p] = 1;
      image.data.set([...pad.colours.get(own), 120], 4 * p);
    }
    regions.getContext("2d").putImageData(image, 0, 0);
  };

  const light = () => {  // the region of the pick, in full colour
    const image = new ImageData(region.width, region.height);
    const pixels = new Uint32Array(image.data.buffer);
    const [r, g, b] = pad.colours.get(pad.pick) ?? [0, 0, 0];
    const full = (255 << 24) | (b << 16) | (g << 8) | r;
    for (let p = 0; p < pixels.length; p++) if (pad.owner[p] === pad.pick && pad.inside[p]) pixels[p] = full;
    region.getContext("2d").putImageData(image, 0, 0);
  };

  const show = (front) => {  // handle and its words
    const [{ rules }, [a, b, c]] = [front, front.weights];
    const [x, y] = [((a / 2 + c) / rules.steps) * WIDTH, (1 - a / rules.steps) * HEIGHT];
    handle.style.transform = `translate(${x}px, ${y}px)`;
    const words = front.names.map((name, i) => `${name} ${(front.weights[i] / rules.steps).toFixed(2)}`).join(", ");
    handle.setAttribute("aria-valuetext", words);
    handle.setAttribute("aria-valuenow", a);
    const pick = pad.table[cell(rules, a, b)];
    if (pick === pad.pick && !pad.stale) return;
    pad.pick = pick;
    pad.stale = false;
    root.dataset.point = front.ids[pick] ?? "";
    light();
  };

  const move = (asked) => {  // weights asked for, any scale; locked ones stay
    const front = weighed();
    if (front && front.free().length > 1) front.put(asked);
  };

  const follow = () => {  // one frame's worth of pointer events
    pad.asked = 0;
    const { left, top, width, height } = pad.box;
    const a = Math.min(Math.max(1 - (pad.y - top) / height, 0), 1);
    const right = Math.min(Math.max((pad.x - left) / width - a / 2, 0), 1 - a);
    move([a, 1 - a - right, right]);
  };

  // Units go one by one, from the first that has some to the first that may take it. Up and down the lower
  // corners take turns, so that the way back is the way there.
  const KEYS = {
    ArrowUp: (odd) => [odd ? [2, 1] : [1, 2], [0]],
    ArrowDown: (odd) => [[0], odd ? [1, 2] : [2, 1]],
    ArrowRight: () => [[1, 0], [2]],
    ArrowLeft: () => [[2, 0], [1]],
  };
  const shift = (key, units) => {
    const front = weighed();
    if (!front) return;
    const [open, weights] = [front.free(), [...front.weights]];
    for (let unit = 0; unit < units; unit++) {
      const [from, to] = KEYS[key](weights[0] % 2 === 1);
      const giver = from.find((i) => open.includes(i) && weights[i] > 0);
      const taker = to.find((i) => open.includes(i));
      if (giver === undefined || taker === undefined) break;
      weights[giver] -= 1;
      weights[taker] += 1;
    }
    front.put(weights);
  };

  pad.on = {
    pointerdown: (event) => {
      const front = weighed();
      if (event.button || !front || front.free().length < 2) return;
      event.preventDefault();
      handle.focus({ preventScroll: true });
      area.setPointerCapture(event.pointerId);
      pad.dragging = front.held = true;
      pad.box = area.getBoundingClientRect();
      pad.on.pointermove(event);
    },
    pointermove: (event) => {
      if (!pad.dragging) return;
      [pad.x, pad.y] = [event.clientX, event.clientY];
      pad.asked ||= requestAnimationFrame(follow);
    },
    pointerup: () => {
      if (!pad.dragging) return;
      if (pad.asked) {
        cancelAnimationFrame(pad.asked);
        follow();
      }
      pad.dragging = false;
      pad.send();
    },
    keydown: (event) => {
      if (!KEYS[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      if (!weighed()) return;
      shared.front.held = true;
      shift(event.key, event.shiftKey ? 10 : 1);
      clearTimeout(pad.timer);
      pad.timer = setTimeout(() => pad.send(), SEND_AFTER);
    },
    focusout: () => pad.timer && pad.send(),
  };
  if (!pad.listening) {
    pad.listening = true;
    for (const name of ["pointerdown", "pointermove", "pointerup", "keydown", "focusout"])
      area.addEventListener(name, (event) => pad.on[name](event));
    area.addEventListener("pointercancel", (event) => pad.on.pointerup(event));
  }

  shared.handle = () => {
    const front = weighed();
    if (!front || !root.isConnected) return;
    if (pad.revision !== front.revision) {
      pad.revision = front.revision;
      pad.table = tabulate(front);
      pad.colours = colour(pad.table, data.colours.map(rgb), front.rules);
      paint(front);
      pad.stale = true;
      [".top", ".left", ".right"].forEach((place, i) => {
        find(place).textContent = front.labels[i];
        find(place).title = front.labels[i];
        find(place).style.setProperty("--corner", data.colours[i]);
      });
      handle.setAttribute("aria-label", `Preference between ${front.names.join(", ")}`);
      root.dataset.drawn = front.revision;
    }
    show(front);
  };
  shared.handle();
}
