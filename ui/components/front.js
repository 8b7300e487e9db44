// The front's members and the weights in hand. While a hand is on a slider or on the pad the pick is found here;
// Python hears of it, answers, and is right: its answer replaces what was found here, unless a hand has moved on.
//
//   sliders, pad ──► weights in hundredths ──► member ──► window.paretoscope.pick, the lines, the chart
//   Python ──► weights, locks ──► the pad's handle
//
// Who is picked is as in engine/front/preference.py, which weights give way as in studio/decide/preference.py.

const STEPS = 100;
const RHO = 1e-6;
const TIE = 1e-12;
const HAND = 100;  // ms after a key or a release within which a slider that changes was moved by it
const PATIENCE = 1500;  // ms until an answer counts that does not know of the last move
const SLIDERS = ".st-key-weights [data-testid=stSlider]";

const sum = (numbers) => numbers.reduce((found, each) => found + each, 0);

// Whole numbers that sum to `total` in proportion to shares.
const apportion = (shares, total) => {
  const whole = sum(shares);
  const exact = shares.map((each) => total * (whole ? each / whole : 1 / shares.length));
  const found = exact.map((each) => Math.floor(each + 1e-9));
  const left = exact.map((each, i) => Math.round((each - found[i]) * 1e9));
  const order = exact.map((_, i) => i).sort((i, j) => left[j] - left[i] || i - j);
  for (const i of order.slice(0, total - sum(found))) found[i] += 1;
  return found;
};

// The member that suits these weights best, its place.
const choose = ({ terms, names, ids, measure, total }, weights) => {
  const most = Math.max(...weights);
  const whole = sum(weights.map((each) => each / most));
  const scaled = weights.map((each) => each / most / whole);
  const wide = names.length;
  let least = Infinity, lightest = Infinity;
  for (let k = 0, at = 0; k < ids.length; k++) {
    let largest = -Infinity;
    total[k] = 0;
    for (let i = 0; i < wide; i++, at++) {
      const term = scaled[i] * terms[at];
      total[k] += term;
      if (term > largest) largest = term;
    }
    measure[k] = largest + RHO * total[k];
    if (measure[k] < least) least = measure[k];
  }
  for (let k = 0; k < ids.length; k++)
    if (measure[k] <= least + TIE && total[k] < lightest) lightest = total[k];
  for (let k = 0; k < ids.length; k++) if (measure[k] <= least + TIE && total[k] <= lightest + TIE) return k;
  return -1;
};

export default function ({ data, parentElement }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  const root = parentElement.querySelector(".front");
  const front = (root.front ??= { locked: [], turn: 0, held: false, moved: null, hand: null });
  Object.assign(front, JSON.parse(new TextDecoder().decode(data)));
  [front.measure, front.total] = [new Float64Array(front.ids.length), new Float64Array(front.ids.length)];
  front.weights ??= apportion(front.names.map(() => 1), STEPS);
  front.exact ??= front.weights.map((each) => each / STEPS);
  shared.front = front;

  front.choose = (weights) => choose(front, weights);
  front.apportion = apportion;
  front.free = () => front.names.map((_, i) => i).filter((i) => !front.locked.includes(front.names[i]));

  const show = () => {
    shared.handle?.();
    const pick = front.choose(front.weights);
    if (pick >= 0 && shared.pick?.point !== front.ids[pick]) {
      const { names, labels, ids, places, texts, scores } = front;
      const own = (list) => list.slice(names.length * pick, names.length * (pick + 1));
      const said = own(scores);
      shared.pick = { label: "pick", point: ids[pick], values: places[pick] };
      shared.say?.(texts[pick], ids[pick], labels.map((label, i) => [label, said[i]]));
    }
    shared.place?.();
  };

  // What the free ones do not hold they share; unrounded, too, so that there and back is in proportion.
  const share = (free, shares) => {
    const room = STEPS - sum(front.weights.filter((_, i) => !free.includes(i)));
    const [found, whole] = [apportion(shares, room), sum(shares)];
    front.exact = front.weights.map((each) => each / STEPS);
    free.forEach((i, k) => {
      front.weights[i] = found[k];
      front.exact[i] = (Math.max(room, 1e-6) * (whole ? shares[k] / whole : 1 / free.length)) / STEPS;
    });
    show();
  };

  front.put = (weights) => {  // the pad's, in hundredths
    const free = front.free();
    share(free, free.map((i) => weights[i]));
  };

  const move = (i, value) => {  // one slider's
    const others = front.free().filter((each) => each !== i);
    const shares = others.map((each) => front.exact[each]);
    const taken = sum(front.weights.filter((_, each) => each !== i && !others.includes(each)));
    front.weights[i] = Math.min(Math.max(value, 0), STEPS - taken);
    share(others, shares);
  };

  const noWait = () => {
    clearTimeout(front.waiting);
    front.waiting = undefined;
  };
  const giveIn = () => {
    front.waiting = undefined;
    front.moved = null;
    shared.hear?.();
  };
  const ahead = () => {  // a hand has moved on since what Python answers to
    const { aimed } = shared;
    if (!root.isConnected || shared.front !== front || !aimed) return false;
    if (front.names.some((name) => aimed.weights[name] === undefined)) return false;
    const heard = front.moved && aimed.shown[front.moved.name];
    const late = front.moved !== null && heard !== undefined && heard !== front.moved.value;
    if (late) front.waiting ??= setTimeout(giveIn, PATIENCE);
    return late || front.held || aimed.turn < front.turn;
  };

  shared.ahead = ahead;
  shared.aim = () => {
    const { aimed } = shared;
    if (!root.isConnected || !aimed || front.names.some((name) => aimed.weights[name] === undefined) || ahead()) return;
    noWait();
    front.moved = null;
    front.turn = aimed.turn;
    front.weights = front.names.map((name) => aimed.weights[name]);
    front.exact = front.names.map((name) => aimed.exact[name]);
    front.locked = aimed.locked;
    shared.handle?.();
  };

  // Streamlit's sliders say at once what they show. They also change when Python tells them: only the one that a
  // hand is on was moved.
  const control = new AbortController();
  const listen = (names, found) =>
    names.forEach((name) => document.addEventListener(name, found, { capture: true, signal: control.signal }));
  const letGo = () => {
    clearTimeout(front.leaving);
    front.leaving = setTimeout(() => (front.hand = null), HAND);
  };
  const take = (event) => {
    const slider = event.target.closest?.(SLIDERS)?.querySelector("input[type=range]");
    if (!slider) return;
    front.hand = slider;
    clearTimeout(front.leaving);
    if (event.type !== "pointerdown") letGo();
  };
  listen(["pointerdown", "keydown", "input", "change"], take);
  listen(["pointerup", "pointercancel"], () => front.hand && letGo());
  const watcher = new MutationObserver((records) => {
    const slider = front.hand;
    if (!slider || !root.isConnected || !records.some((each) => each.target === slider)) return;
    const place = front.labels.indexOf(slider.getAttribute("aria-label"));
    if (place < 0) return;  // of axes whose front is still on its way
    const [name, value] = [front.names[place], Math.round(Number(slider.value) * STEPS)];
    const known = front.moved?.name === name ? front.moved.value : front.weights[place];
    if (value === known || front.locked.includes(name)) return;
    front.moved = { name, value };
    noWait();
    if (value !== front.weights[place]) move(place, value);
  });
  watcher.observe(document.body, { subtree: true, attributes: true, attributeFilter: ["aria-valuetext", "value"] });

  shared.handle?.();
  shared.aim();
  root.dataset.revision = front.revision;
  return () => {
    control.abort();
    watcher.disconnect();
    setTimeout(() => {
      if (!root.isConnected && shared.front === front) shared.front = null;
    }, 100);
  };
}
