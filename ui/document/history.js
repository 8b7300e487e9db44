// An entry of the browser's history for each thing that a person did, and none for the rest.
//
//     press ──► the address follows ──► pushState       the first time since the press
//     point arrives, study opens ─────► replaceState    nobody did anything
//
// Streamlit adds an entry whenever the server sets a parameter of the address, six of them while a page
// loads, and on the way to another page one with that page's parameters on the path of the old. Presses of
// keys on one element are one thing that is done: a slider moved in thirty steps.
(() => {
  const push = history.pushState.bind(history);
  const DERIVED = ["study", "point"]; // what follows from the rest, and may come later
  let acted = false; // since the last entry
  let added = false; // an entry, since a person acted
  let on = null;

  const said = (address) => {
    const found = new URLSearchParams(address.search);
    for (const name of DERIVED) found.delete(name);
    found.sort();
    return found.toString();
  };

  const done = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own keys
    const again = event.type === "keydown" && event.target === on;
    on = event.type === "keydown" ? event.target : null;
    if (!again) { acted = true; added = false; }
  };
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, done, true);
  addEventListener("popstate", () => { acted = added = false; on = null; }, true);

  history.pushState = (state, title, address) => {
    const next = new URL(address ?? location.href, location.href);
    const elsewhere = next.pathname !== location.pathname;
    if (!added && (elsewhere || (acted && said(next) !== said(location)))) {
      added = acted;
      acted = false;
      push(state, title, address);
    } else {
      history.replaceState(state, title, address);
    }
  };
})();
