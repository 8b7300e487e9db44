// The front's members and the weights in hand. While a hand is on a slider or on the pad the pick is found here;
// Python hears of it, answers, and is right: its answer replaces what was found here, unless a hand has moved on.
//
//   sliders, pad ──► weights in hundredths ──► member ──► window.paretoscope.pick, the lines, the chart
//   Python ──► weights, locks ──► the pad's handle
//
// Who is picked and which weights give way: picking.js.

import { chooser, equal, placed, rebalanced, unlocked } from "./picking.js";

const HAND = 100;  // ms after a key or a release within which a slider that changes was moved by it
const PATIENCE = 1500;  // ms until an answer counts that does not know of the last move
const SLIDERS = ".st-key-weights [data-testid=stSlider]";

export default function ({ data, parentElement }) {
  const shared = (window.paretoscope ??= { waiting: [] });
  const root = parentElement.querySelector(".front");
  const front = (root.front ??= { locked: [], turn: 0, held: false, moved: null, hand: null });
  Object.assign(front, JSON.parse(new TextDecoder().decode(data)));
  if (!front.weights) Object.assign(front, equal(front.names.length, front.rules));
  shared.front = front;

  const locked = () => front.names.map((name) => front.locked.includes(name));
  front.choose = chooser(front);
  front.free = () => unlocked(locked());

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

  front.put = (asked) => {  // the pad's, in any scale; Python will hear of hundredths
    const { weights } = placed(front, locked(), asked, front.rules);
    Object.assign(front, placed(front, locked(), weights, front.rules));
    show();
  };

  const move = (i, value) => {  // one slider's
    Object.assign(front, rebalanced(front, locked(), i, value, front.rules));
    show();
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
    const [name, value] = [front.names[place], Math.round(Number(slider.value) * front.rules.steps)];
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
