// What the method in hand is predicted to score where its sliders stand, so that mark and words follow on every frame.
// Python's own answer comes after (see readout.js).
//
//   a slider moves ──► MutationObserver ──► live.follow (readout.js) ──► live.predict ──► words, mark

import { predicted, unpacked } from "./predicting.js";

// One that another has replaced stays in the page until the run has ended.
const SLIDERS = ".st-key-controls .stElementContainer:not([data-retained]) input[type=range]";

export default function ({ data }) {
  const live = ((window.paretoscope ??= { waiting: [] }).live ??= {});
  const text = new TextDecoder().decode(data);
  if (live.model?.text !== text) live.model = { text, ...unpacked(text) };

  // Coefficient -> value, as the sliders show it now; what Python has heard may be older. A model's main slider that
  // has left the mean of its bands moves all of them; bands that are folded away stand where Python last had them.
  live.sliders = () => {
    const shown = Object.fromEntries(
      [...document.querySelectorAll(SLIDERS)].map((each) => [each.getAttribute("aria-label"), Number(each.value)])
    );
    const { coefficients = {}, mains = {}, step } = live.answered ?? {};
    for (const [name, value] of Object.entries(coefficients)) {
      const model = name.split("@")[0];
      if (model === name) continue;
      if (model in shown && Math.abs(shown[model] - mains[model]) > 0.501 * step) shown[name] = shown[model];
      else shown[name] ??= value;
    }
    return shown;
  };
  live.predict = (values) => predicted(live.model, values);

  live.watching ??= new MutationObserver((records) => {
    if (records.some(({ target }) => target.matches(SLIDERS))) live.follow?.();
  });
  live.watching.observe(document.body, { subtree: true, attributes: true, attributeFilter: ["aria-valuetext"] });
}
