// A list that a press opened stays open, though the page was scrolled just before.
//
//     wheel ──► press ──► list opens ──► "scroll", told a frame late ──► Streamlit closes the list again
//
// A scroll that the press found done already is no reason to close: it is not told.
(() => {
  let places = new Map(); // what can scroll around the list -> where it stood at the press

  addEventListener("pointerdown", ({ target }) => {
    places = new Map();
    const list = target.closest?.(".stSelectbox, .stMultiSelect");
    for (let each = list?.parentElement; each; each = each.parentElement) {
      places.set(each, [each.scrollLeft, each.scrollTop]);
    }
  }, true);

  addEventListener("scroll", (event) => {
    const was = places.get(event.target);
    places.delete(event.target);
    if (was && was[0] === event.target.scrollLeft && was[1] === event.target.scrollTop) event.stopImmediatePropagation();
  }, true);
})();
